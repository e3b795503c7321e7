"""The three lists in `docs/architecture.md`, compared with the calls during the life of one job."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from click.testing import CliRunner

from cloudq.adapters.object_stores.directory.store import DirectoryStore
from cloudq.adapters.object_stores.wrappers.retrying import RetryingStore
from cloudq.adapters.schedulers.commands import CommandTimes
from cloudq.adapters.schedulers.slurm.scheduler import SlurmScheduler
from cloudq.entrypoints.cloudqcli import main
from tests.parts.architecture_page import HAND_OVER, RECORD, SUBMIT, steps_of
from tests.parts.fake_slurm.cluster import ALIVE, FakeSlurm
from tests.parts.world import Agent, System, World


@contextmanager
def calls_noted() -> Iterator[list[str]]:
    """The functions of cloudq that this thread calls, by their dotted names."""
    calls: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.startswith("cloudq."):
            calls.append(f"{module}.{frame.f_code.co_qualname}")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(before)


def first_missing(walk: str, calls: list[str]) -> str:
    """Return the first step of *walk* missing in *calls* after the steps before it, or an empty string."""
    rest = iter(calls)
    return next((step for step in steps_of(walk) if step not in rest), "")


def submit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, data = folder / "run.sh", folder / "data"
    script.write_text("#!/bin/bash\necho made >result\necho done\n")
    data.write_text("1\n")
    monkeypatch.setenv("CLOUDQ_HOME", str(folder / "home"))
    monkeypatch.setenv("CLOUDQ_STORE_ENDPOINT_URL", f"file://{folder}/store")
    words = ["submit", "--script", str(script), "--submit_to", "alpha", "--input", str(data), "--force"]
    done = CliRunner().invoke(main, words)

    assert done.exit_code == 0, done.output


def agent_on_slurm(folder: Path, slurm: FakeSlurm) -> Agent:
    world = World(folder)
    world.store = RetryingStore(DirectoryStore(folder / "store"), world.clock)
    home = folder / "alpha"
    home.mkdir()
    scheduler = SlurmScheduler(CommandTimes(), environ=os.environ | slurm.environment())
    return world.agent(System("alpha", home, scheduler))  # type: ignore[arg-type]


def end_all(slurm: FakeSlurm) -> None:
    slurm.set(holds=False)
    slurm.wait_until(
        lambda jobs: all(
            task["state"] not in ALIVE for job in jobs.values() for task in job["tasks"].values()
        )
    )


def test_each_walk_names_its_functions_in_the_order_of_their_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm = FakeSlurm(tmp_path)
    slurm.set(holds=True)
    with calls_noted() as submission:
        submit(tmp_path, monkeypatch)
    agent = agent_on_slurm(tmp_path, slurm)
    with calls_noted() as hand_over:
        agent.cycle()
    end_all(slurm)
    agent.world.clock.pass_by(60)
    with calls_noted() as record:
        agent.cycle()

    assert agent.world.stored("history/")
    assert first_missing(SUBMIT, submission) == ""
    assert first_missing(HAND_OVER, hand_over) == ""
    assert first_missing(RECORD, record) == ""
