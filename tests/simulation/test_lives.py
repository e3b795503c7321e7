"""Short lives, a different chance in each: what is promised holds whatever goes wrong when.

More and longer ones: ``python -m tests.simulation.run --lives 10000``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.simulation.life import Life
from tests.simulation.run import broken_in

LIVES_A_PART = 30
MOST_STEPS = 10


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.mark.parametrize("part", range(4))
def test_every_promise_is_kept_whatever_goes_wrong(part: int, tmp_path: Path) -> None:
    for seed in range(part * LIVES_A_PART, (part + 1) * LIVES_A_PART):
        told = broken_in(seed, tmp_path, MOST_STEPS)

        assert not told, told


def test_a_life_can_be_lived_again(tmp_path: Path) -> None:
    stories = []
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        life = Life(7, tmp_path / name)
        life.live()
        stories.append(life.story.text().replace(str(tmp_path / name), ""))

    assert stories[0] == stories[1]
