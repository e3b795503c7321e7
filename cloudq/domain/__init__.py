"""The rules, as values and pure functions: no clock, no randomness, no I/O, no logging."""
