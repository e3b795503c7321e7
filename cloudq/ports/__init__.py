"""The interfaces that the application needs, as Protocols whose docstrings are promises."""
