"""Choose a directory for test files that need no disk."""

from __future__ import annotations

import os
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 1 << 30
"""The free bytes that are needed; a container often has only 64 MiB there."""


def place_in_memory() -> Path | None:
    """Return a directory in memory with enough room, from which scripts can run; None if there is none."""
    try:
        place = os.statvfs(MEMORY)
    except OSError:
        return None
    is_fit = not place.f_flag & os.ST_NOEXEC and place.f_bavail * place.f_frsize >= ROOM
    return MEMORY if is_fit else None
