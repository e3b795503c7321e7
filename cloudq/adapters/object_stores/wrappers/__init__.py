"""Stores around a store: retries, the fence of a lease, dates of answers, emulated conditions."""
