"""Batch schedulers: each builds command lines and parses text."""
