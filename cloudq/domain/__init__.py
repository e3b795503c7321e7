"""Rules of the game: values and pure functions. No clock, no randomness, no I/O, no logging."""
