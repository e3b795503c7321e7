"""Jobscripts: what they ask for, and their conversion for a system."""
