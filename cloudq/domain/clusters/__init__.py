"""Clusters on AWS."""
