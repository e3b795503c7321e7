"""The use cases of the commands that jobs call."""
