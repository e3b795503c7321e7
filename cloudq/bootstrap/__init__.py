"""The composition root: a configuration becomes wired use cases; every part can be replaced.

Clients import `cloudq.bootstrap.client` alone: what only an agent needs runs on Linux only.
"""
