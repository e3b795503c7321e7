"""Unit tests write their files into memory, where there is a place for that: no test is about a disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
ROOM = 1 << 30
"""Bytes: a container often has 64 MiB there."""


def _place() -> Path | None:
    """Where to put files; None: wherever temporary files go."""
    try:
        place = os.statvfs(MEMORY)
    except OSError:
        return None
    is_fit = not place.f_flag & os.ST_NOEXEC and place.f_bavail * place.f_frsize >= ROOM
    return MEMORY if is_fit else None


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A new directory, gone with the test."""
    made = tempfile.TemporaryDirectory(prefix="cloudq-unit-", dir=_place(), ignore_cleanup_errors=True)
    with made as path:
        yield Path(path).resolve()
