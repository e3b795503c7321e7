"""What the commands do that jobs call."""
