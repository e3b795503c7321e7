"""Clusters on AWS: creating, describing and deleting them."""
