"""Kill an agent at each port call of a job's life, and let another one succeed it.

Invariants I1, I2, I5, I8: the script starts once, and the job reaches its correct final state, with its logs
and outputs in the bucket, one history entry and no queue entry left, wherever the first agent died.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import frozen

from cloudq.adapters.systems import load_profile
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.scripts.jobscript import Jobscript
from tests.parts.scripted_scheduler import Script
from tests.parts.trap import Killed, Trap
from tests.parts.world import Agent, System, World, text_of


@frozen
class Life:
    """A job's life to be cut at every call: its preparation, and its required final state."""

    name: str
    begin: Callable[[World, System], str]
    script: Script
    end: JobState
    starts: range
    """The allowed numbers of starts of the script, over all tasks."""
    during: Callable[[World, str], None] = lambda _world, _job_id: None
    """The action of its owner after the first cycle."""


def submit(world: World, _: System) -> str:
    return world.submit("alpha")


def submit_meta_array(world: World, _: System) -> str:
    head = b"#$ project: p\n#$ resource: cpu\n#$ n_resource: 1\n"
    return world.submit("alpha", script=Jobscript("mjob.sh", head + b"echo hello\n"), array="1-2")


def submit_array(world: World, _: System) -> str:
    return world.submit("alpha", array="1-2")


def submit_with_time_limit(world: World, _: System) -> str:
    return world.submit("alpha", script=Jobscript("run.sh", b"#!/bin/bash\n#LOCAL --time 30s\necho hello\n"))


def cancel(world: World, job_id: str) -> None:
    world.client().cancel(job_id)


def submit_to_a_full_system(world: World, alpha: System) -> str:
    alpha.scheduler.holds_queue = True
    return world.submit("alpha")


ONCE = range(1, 2)
LOCAL = load_profile("local", Path("nowhere"))


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn off fsync: no machine loses its power in these tests, and nothing waits for a disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


LIVES = (
    Life("succeeds", submit, Script(12, 0, "hello\n", outputs={"out": b"1"}), JobState.DONE, ONCE),
    Life("fails", submit, Script(12, 3, "hello\n", outputs={"out": b"1"}), JobState.ERROR, ONCE),
    Life("array", submit_array, Script(7, 0, "hello\n", outputs={"out": b"1"}), JobState.DONE, range(2, 3)),
    Life(
        "meta array",
        submit_meta_array,
        Script(7, 0, "hello\n", outputs={"out": b"1"}),
        JobState.DONE,
        range(2, 3),
    ),
    Life("timeout", submit_with_time_limit, Script(90, 0, "hello\n"), JobState.TIMEOUT, ONCE),
    Life("canceled", submit, Script(300, 0, "hello\n"), JobState.DELETED, range(2), cancel),
    Life("canceled pending", submit_to_a_full_system, Script(9), JobState.DELETED, range(1), cancel),
)


def live(world: World, agent: Agent, life: Life, job_id: str, cycles: int = 12) -> None:
    """Run the life with one agent: the first cycle, the owner's action, and the other cycles."""
    for number in range(cycles):
        agent.cycle()
        world.clock.pass_by(5)
        if number == 0:
            life.during(world, job_id)


def count_calls(tmp: Path, life: Life) -> int:
    """Return the number of port calls in an undisturbed life."""
    world = World(tmp)
    alpha = world.system(behaviour=lambda *_: life.script, profile=LOCAL)
    trap = Trap()
    agent = world.agent(alpha, trap)
    job_id = life.begin(world, alpha)
    live(world, agent, life, job_id, cycles=30)
    check_end(world, alpha, life, job_id)
    return len(trap.calls)


def check_end(world: World, alpha: System, life: Life, job_id: str) -> None:
    job = world.job(job_id)
    where = f"{job.state} {job.error_msg} {world.log.told}"
    assert len(alpha.scheduler.starts) in life.starts, where
    assert job.state is life.end, where
    assert world.stored("queue/") == [], where
    assert len(world.stored("history/")) == 1, where
    assert world.log.defects() == []
    if alpha.scheduler.starts:
        task = 1 if job.array_tid else None
        assert text_of(world.client().read_log.of_job(job, "stdout", task)) == life.script.stdout
    if life.script.outputs:
        assert job.size_output, where


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.name)
@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_a_job_reaches_its_end_once_wherever_its_agent_is_killed(
    life: Life, after: bool, tmp_path: Path
) -> None:
    for at in range(count_calls(tmp_path / "whole", life)):
        world = World(tmp_path / f"killed-{at}")
        alpha = world.system(behaviour=lambda *_: life.script, profile=LOCAL)
        trap = Trap(at, after)
        first = world.agent(alpha, trap)
        job_id = life.begin(world, alpha)
        try:
            live(world, first, life, job_id, cycles=30)
        except Killed:
            first.die()
        if not trap.sprung:
            continue
        second = world.agent(alpha)
        second.cycle()
        life.during(world, job_id) if not world.job(job_id).is_final else None
        for _ in range(60):
            second.cycle()
            world.clock.pass_by(5)

        check_end(world, alpha, life, job_id)


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_a_one_shot_agent_that_is_killed_is_followed_by_another(after: bool, tmp_path: Path) -> None:
    life = LIVES[0]
    for at in range(0, count_calls(tmp_path / "whole", life), 3):
        world = World(tmp_path / f"killed-{at}")
        alpha = world.system(behaviour=lambda *_: life.script, profile=LOCAL)
        first = world.agent(alpha, Trap(at, after), one_shot=True)
        job_id = life.begin(world, alpha)
        try:
            live(world, first, life, job_id, cycles=30)
        except Killed:
            first.die()
        for _ in range(40):
            run = world.agent(alpha, one_shot=True)
            run.parts.run.one_cycle()
            run.die()
            world.clock.pass_by(60)

        check_end(world, alpha, life, job_id)
