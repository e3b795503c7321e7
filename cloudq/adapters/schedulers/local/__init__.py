"""The embedded scheduler, for one machine and without a daemon."""
