"""A world for every test of the application."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.world import World


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip waiting for the disk: no machine loses its power in these tests."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world in which no agent may report a defect of cloudq."""
    world = World(tmp_path)
    yield world

    assert world.log.defects() == []
