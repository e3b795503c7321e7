"""A bucket that was restored from a backup: what was made since is gone (protocol 4.8)."""

from __future__ import annotations

import copy
import json
import shutil

from cloudq.adapters.object_stores.memory import MemoryStore
from cloudq.adapters.schedulers.scripted import Script
from cloudq.domain.job_state import JobState
from tests.parts.world import World


def backup(world: World) -> MemoryStore:
    return copy.deepcopy(world.store)  # type: ignore[return-value]


def restore(world: World, kept: MemoryStore) -> None:
    assert isinstance(world.store, MemoryStore)
    world.store._held = dict(kept._held)


def lose_files(world: World, job_id: str) -> None:
    cache = world.tmp / "alpha" / "cache"
    shutil.rmtree(cache / ".cloudq" / f"{job_id}.1")
    shutil.rmtree(cache / job_id)


# The ledger -----------------------------------------------------------------------------------


def test_a_job_that_was_started_here_is_not_started_again(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    kept = backup(world)
    agent.until_final(job_id)
    lose_files(world, job_id)
    restore(world, kept)
    successor = world.agent(alpha)
    world.clock.pass_by(400)

    successor.until_final(job_id)

    job = world.job(job_id)
    assert job.state is JobState.ERROR
    assert job.error_msg == (
        "not started again: claim 1 of this job was started here on 2026-01-31 at 12:00 UTC, and its files "
        "are gone. The bucket seems to have been restored from a backup. To run the job once more: "
        f"cloudqcli submit --rerun {job_id}"
    )
    assert len(alpha.scheduler.starts) == 1


def test_a_job_that_still_runs_is_followed_though_only_the_ledger_knows_it(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(1500))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    kept = backup(world)
    agent.until(lambda: bool(alpha.scheduler.starts))
    lose_files(world, job_id)
    restore(world, kept)
    successor = world.agent(alpha)
    world.clock.pass_by(400)

    successor.cycles(3)

    assert world.job(job_id).state in {JobState.READY, JobState.RUN}
    assert len(alpha.scheduler.starts) == 1


def test_a_job_of_an_older_client_is_run_without_a_look_at_the_ledger(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3))
    job_id = world.submit("alpha")
    key = f"jobs/{job_id}/manifest.json"
    record = json.loads(world.body(key))
    del record["submission"]
    world.store.put(key, json.dumps(record).encode())

    world.agent(alpha).until_final(job_id)

    assert world.job(job_id).state is JobState.DONE
    assert not (alpha.home / "ledger").exists()


def test_a_rerun_is_another_job_and_runs(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3))
    agent = world.agent(alpha)
    first, second = world.submit("alpha"), world.submit("alpha")

    agent.until_final(first, second)

    assert len(alpha.scheduler.starts) == 2
    assert world.job(first).submission != world.job(second).submission


def test_a_ledger_that_cannot_be_read_starts_nothing(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3))
    agent = world.agent(alpha)
    agent.until_final(world.submit("alpha"))
    [noted] = (alpha.home / "ledger").glob("*/*")
    noted.unlink()
    noted.mkdir()

    job_id = world.submit("alpha")
    agent.cycles(5)

    assert len(alpha.scheduler.starts) == 1
    assert world.job(job_id).state is JobState.INIT
    noted.rmdir()
    agent.until_final(job_id)


# Control directories --------------------------------------------------------------------------


def test_a_finished_job_that_came_back_ends_again_by_its_records(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(3, 7, outputs={"made": b"1"}))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    kept = backup(world)
    agent.until_final(job_id)
    restore(world, kept)
    successor = world.agent(alpha)
    world.clock.pass_by(400)

    successor.until_final(job_id)

    assert (world.job(job_id).state, world.job(job_id).exit_code) == (JobState.ERROR, 7)
    assert world.job(job_id).size_output
    assert len(alpha.scheduler.starts) == 1
