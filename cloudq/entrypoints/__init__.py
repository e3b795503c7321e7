"""Commands: parse, call a use case, print."""
