"""Code that all commands share: errors, logs, terminals."""
