"""Live short lives with different seeds: promises hold, whatever goes wrong at any time.

More and longer ones: ``make simulate SEEDS=10000``; see ``docs/simulation.md``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloudq.adapters import filesystem
from cloudq.adapters.workspace import claim_space
from tests.simulation.life import Life
from tests.simulation.run import How, live
from tests.simulation.site import SWITCHED_ON, Kind, Kinds, Site
from tests.simulation.tally import KINDS, Tally

WORLDS_A_PART = 40
MOST_STEPS = 12
A_FEW = 20
"""The number of worlds with one of the assumptions broken."""
MOST_WORLDS = 400
"""The most worlds that are lived until every kind of fault has happened."""


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(filesystem, "sync_dir", lambda _: None)
    monkeypatch.setattr(claim_space, "sync_dir", lambda _: None)


@pytest.mark.parametrize("part", range(4))
def test_every_promise_is_kept_whatever_goes_wrong(part: int, tmp_path: Path) -> None:
    for seed in range(part * WORLDS_A_PART, (part + 1) * WORLDS_A_PART):
        tally = Tally()
        live(seed, How(tmp_path, MOST_STEPS), tally)

        assert not tally.broken, tally.broken[seed]


@pytest.mark.timeout(900)
def test_every_kind_of_fault_happens_in_some_world(tmp_path: Path) -> None:
    tally = Tally()
    for kind in Kind:
        for seed in range(1100, 1112):
            live(seed, How(tmp_path, kinds=Kinds.told(only=[kind.value])), tally)
    for seed in range(1000, 1000 + MOST_WORLDS):
        if all(tally.faults[kind] for kind in KINDS):
            break
        live(seed, How(tmp_path), tally)

    assert not tally.broken, tally.broken.values()
    assert [kind for kind in KINDS if not tally.faults[kind]] == []
    assert sorted(set(tally.faults) - set(KINDS)) == []


def test_a_life_can_be_lived_again(tmp_path: Path) -> None:
    stories = []
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        life = Life(7, tmp_path / name)
        life.live()
        stories.append(life.story.text().replace(str(tmp_path / name), ""))

    assert stories[0] == stories[1]


@pytest.mark.parametrize(
    "kind", sorted(SWITCHED_ON, key=lambda kind: kind.value), ids=lambda kind: kind.value
)
def test_every_promise_is_kept_where_a_usual_assumption_is_broken(kind: Kind, tmp_path: Path) -> None:
    for seed in range(A_FEW):
        tally = Tally()
        live(seed, How(tmp_path, kinds=Kinds.told(only=[kind.value])), tally)

        assert not tally.broken, tally.broken[seed]


def test_a_kind_changes_no_world_that_does_not_have_it() -> None:
    every, late_list = Kinds(frozenset(Kind)), Kinds(frozenset({Kind.LATE_LIST}))
    for seed in range(200):
        site = Site.of(seed, every)
        if site.kinds <= {Kind.LATE_LIST}:
            assert Site.of(seed, late_list) == site


@pytest.mark.parametrize("options", ["", " --only late-list", " --only stopped-clocks --only late-list"])
def test_a_replay_is_told_which_kinds_there_were(options: str) -> None:
    only = options.replace(" --only ", " ").split()

    assert Kinds.told(only=only).options == options


def test_kinds_that_were_left_out_are_told_to_a_replay() -> None:
    left_out = sorted(kind.value for kind in SWITCHED_ON)

    assert Kinds.told(without=left_out).options.count("--without") == len(left_out)
    assert Kinds.told(without=left_out).chosen == frozenset()
