"""Rules about object stores: addresses, places to copy from and to, settings, and the check of conditions."""
