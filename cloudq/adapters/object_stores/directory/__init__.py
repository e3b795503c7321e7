"""A directory that is used as a bucket."""
