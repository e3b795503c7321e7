"""The contents of archives, as the program that made them recorded them in the job's record."""

from __future__ import annotations

from attrs import frozen


@frozen
class Contents:
    """The total contents of the archives of a job's inputs, or of its outputs."""

    files: int
    """The number of entries: files, links, and directories that have an entry."""
    total_bytes: int
    """The number of bytes that the archives unpack to."""


NOTHING = Contents(0, 0)
