"""Jobscripts: what they ask for, and how a system understands it."""
