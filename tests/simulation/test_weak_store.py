"""Run one home on a store that ignores conditions: the same lives, the same final checks (protocol 8).

More and longer ones: ``python -m tests.simulation.run --weak-store --worlds 10000``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.testing.memory_store import MemoryStore
from tests.parts.trap import Killed, Trap
from tests.parts.weak_store import WeakStore
from tests.parts.world import System, World
from tests.simulation.run import How
from tests.simulation.run import live as live_world
from tests.simulation.tally import Tally
from tests.simulation.test_killed_anywhere import LIVES, LOCAL, Life, _quick_disk, check_end, live

__all__ = ["_quick_disk"]  # a fixture for all

LIVES_A_PART = 15
MOST_STEPS = 10


def weak_world(tmp: Path, life: Life) -> tuple[World, System]:
    """Return a world with one system, whose agent has reported."""
    world = World(tmp)
    world.store = WeakStore(MemoryStore(world.clock.now))
    alpha = world.system(behaviour=lambda *_: life.script, profile=LOCAL)
    first = world.agent(alpha, accept_weak_store=True)
    first.cycle()
    first.die()
    return world, alpha


def count_calls(tmp: Path, life: Life) -> int:
    """Return the number of port calls in an undisturbed life."""
    world, alpha = weak_world(tmp, life)
    trap = Trap()
    job_id = life.begin(world, alpha)
    live(world, world.agent(alpha, trap, accept_weak_store=True), life, job_id, cycles=30)
    check_end(world, alpha, life, job_id)
    return len(trap.calls)


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.name)
@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_a_job_reaches_its_end_once_wherever_its_agent_is_killed(
    life: Life, after: bool, tmp_path: Path
) -> None:
    for at in range(after, count_calls(tmp_path / "whole", life), 2):
        world, alpha = weak_world(tmp_path / f"killed-{at}", life)
        first = world.agent(alpha, Trap(at, after), accept_weak_store=True)
        job_id = life.begin(world, alpha)
        try:
            live(world, first, life, job_id, cycles=30)
        except Killed:
            first.die()
        second = world.agent(alpha, accept_weak_store=True)
        second.cycle()
        life.during(world, job_id) if not world.job(job_id).is_final else None
        for _ in range(60):
            second.cycle()
            world.clock.pass_by(5)

        check_end(world, alpha, life, job_id)


@pytest.mark.parametrize("part", range(4))
def test_every_promise_to_one_home_is_kept_whatever_goes_wrong(part: int, tmp_path: Path) -> None:
    for seed in range(part * LIVES_A_PART, (part + 1) * LIVES_A_PART):
        tally = Tally()
        live_world(seed, How(tmp_path, MOST_STEPS, weak_store=True), tally)

        assert not tally.broken, tally.broken[seed]
