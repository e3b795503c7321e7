"""What archives hold, as whoever made them wrote it into the job's record."""

from __future__ import annotations

from attrs import frozen


@frozen
class Contents:
    """What the archives of a job's inputs, or of its outputs, hold in all."""

    files: int
    """Entries: files, links, and directories that are named."""
    total_bytes: int
    """What they unpack to."""


NOTHING = Contents(0, 0)
