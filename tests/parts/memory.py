"""Where files of tests may lie that are not about a disk."""

from __future__ import annotations

import os
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 1 << 30
"""Bytes: a container often has 64 MiB there."""


def place_in_memory() -> Path | None:
    """A directory in memory with room, from which scripts may be run; None if there is none."""
    try:
        place = os.statvfs(MEMORY)
    except OSError:
        return None
    is_fit = not place.f_flag & os.ST_NOEXEC and place.f_bavail * place.f_frsize >= ROOM
    return MEMORY if is_fit else None
