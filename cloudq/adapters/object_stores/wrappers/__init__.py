"""Stores that wrap another one: retries, the check of the lease, dates of answers, emulated conditions."""
