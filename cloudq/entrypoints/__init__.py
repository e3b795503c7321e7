"""The commands: parse the options, call a use case, print."""
