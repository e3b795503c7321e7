"""A directory in the place of a bucket."""
