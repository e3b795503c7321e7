"""What all commands have in common: faults, logs, terminals."""
