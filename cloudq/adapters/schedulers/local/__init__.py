"""The embedded scheduler: no daemon, for one machine."""
