"""Clusters on AWS: create, describe and delete them."""
