"""What the application asks of the world, as Protocols whose docstrings are promises."""
