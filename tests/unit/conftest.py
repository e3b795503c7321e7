"""Unit tests write their files into memory if there is a place for that: no test is about a disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.memory import place_in_memory


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A new directory, which is removed after the test."""
    made = tempfile.TemporaryDirectory(
        prefix="cloudq-unit-", dir=place_in_memory(), ignore_cleanup_errors=True
    )
    with made as path:
        yield Path(path).resolve()
