"""Taking jobs from systems that no longer act, interrupted at any step (protocol 3.3 to 3.5)."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest
from attrs import evolve

from cloudq.adapters.job_repository import BucketJobFiles, BucketSystemRegistry
from cloudq.application.shared.cancel_job import CancelResult
from cloudq.bootstrap.client import ClientParts
from cloudq.domain.errors import JobNotFound, JobNotPutAway, JobStateConflict, StoreUnfit
from cloudq.domain.jobs.claim import ClaimKind
from cloudq.domain.jobs.job_request import JobRequest
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.scripts.target import Pinned
from cloudq.domain.stores.store_check import StoreCheck
from tests.builders import NOON
from tests.parts.scripted_scheduler import Script, SubmitFault
from tests.parts.trap import Killed, Trap, Trapped
from tests.parts.world import SCRIPT, Agent, System, World

LONG = Script(duration_s=30_000)
SILENCE_S = 1801.0
FORCED_CANCEL_CALLS = 14
"""The requests of a cancel without the holder; a trap set beyond them does not spring."""


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip waiting for the disk: no machine loses its power in these tests."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def dying_client(world: World, at: int, after: bool = False) -> ClientParts:
    """A client whose process dies at a chosen request."""
    return world.client(Trapped(world.store, Trap(at, after), "store"))  # type: ignore[arg-type]


def held_by_a_silent_agent(world: World, **submitted: str) -> tuple[str, System, Agent]:
    """Return a job that runs on alpha, whose agent is then silent for a long time."""
    alpha = world.system("alpha", behaviour=lambda *_: LONG)
    agent = world.agent(alpha)
    job_id = world.submit("alpha", **submitted)  # type: ignore[arg-type]
    agent.cycles(3)
    assert world.job(job_id).state is JobState.RUN
    world.clock.pass_by(SILENCE_S)
    return job_id, alpha, agent


def has_claim(world: World, job_id: str, n: int) -> bool:
    return f"jobs/{job_id}/claims/{n}.json" in world.stored(f"jobs/{job_id}/claims/")


# cancel without the holder --------------------------------------------------------------------


def test_a_job_of_a_silent_system_is_ended_without_it(world: World) -> None:
    job_id, _, _ = held_by_a_silent_agent(world)

    assert world.client().cancel.without_the_holder(job_id, 1, force=False) is CancelResult.CANCELED
    job = world.job(job_id)
    assert (job.state, job.run_system) == (JobState.DELETED, "alpha")
    assert job.error_msg == "canceled by tester@laptop without the agent of alpha: it may still run there"
    assert world.stored("queue/") == [f"queue/alpha/{job_id}.1.cancel"]
    assert [entry.job_id for entry in world.client().query.history()] == [job_id]


def test_every_request_of_a_forced_cancel_is_one_at_which_it_is_cut(world: World) -> None:
    job_id, _, _ = held_by_a_silent_agent(world)
    trap = Trap()
    client = world.client(Trapped(world.store, trap, "store"))  # type: ignore[arg-type]
    client.cancel.without_the_holder(job_id, 1, force=False)

    assert len(trap.calls) == FORCED_CANCEL_CALLS


def test_a_job_of_a_system_that_reported_lately_is_ended_without_it_only_by_force(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: LONG)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(3)
    cancel = world.client().cancel

    with pytest.raises(JobStateConflict, match="reported recently"):
        cancel.without_the_holder(job_id, 1, force=False)
    assert not has_claim(world, job_id, 2)
    assert cancel.without_the_holder(job_id, 1, force=True) is CancelResult.CANCELED

    ended = world.job(job_id)
    agent.cycles(5)
    assert alpha.scheduler.canceled == ["1"]
    assert world.job(job_id) == ended
    assert world.stored("queue/") == []


def test_only_the_claim_that_was_looked_at_is_replaced(world: World) -> None:
    job_id, _, _ = held_by_a_silent_agent(world)

    with pytest.raises(JobStateConflict, match="claim 2 does not hold it"):
        world.client().cancel.without_the_holder(job_id, 2, force=True)
    assert world.job(job_id).state is JobState.RUN


def test_tasks_that_had_ended_keep_their_end(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda _job, task: Script(1 if task == 1 else 30_000))
    agent = world.agent(alpha)
    job_id = world.submit("alpha", array="1-3")
    agent.cycles(16)
    world.clock.pass_by(SILENCE_S)
    world.client().cancel.without_the_holder(job_id, 1, force=False)

    job = world.job(job_id)
    assert [job.state_of_task(task) for task in (1, 2, 3)] == [
        JobState.DONE,
        JobState.DELETED,
        JobState.DELETED,
    ]


@pytest.mark.parametrize("comes_back", ["the process that paused", "a new process"])
@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("at", range(FORCED_CANCEL_CALLS + 1))
def test_a_forced_cancel_cut_anywhere_is_finished_by_running_it_again(
    tmp_path: Path, at: int, after: bool, comes_back: str
) -> None:
    world = World(tmp_path)
    job_id, alpha, silent = held_by_a_silent_agent(world)
    try:
        dying_client(world, at, after).cancel.without_the_holder(job_id, 1, force=False)
    except Killed:
        world.client().cancel.without_the_holder(job_id, 1, force=False)
    ended = world.job(job_id)
    assert ended.state is JobState.DELETED
    assert len(world.stored("history/")) == 1
    assert f"queue/alpha/{job_id}.1" not in world.stored("queue/")

    if comes_back == "a new process":
        silent.die()
    (silent if comes_back == "the process that paused" else world.agent(alpha)).cycles(5)

    assert alpha.scheduler.canceled == ["1"]
    assert world.stored("queue/") == []
    assert world.job(job_id) == ended
    assert len(world.stored("history/")) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("at", range(FORCED_CANCEL_CALLS + 1))
def test_a_plain_cancel_finishes_a_forced_one_that_was_cut(tmp_path: Path, at: int, after: bool) -> None:
    world = World(tmp_path)
    job_id, alpha, silent = held_by_a_silent_agent(world)
    with contextlib.suppress(Killed):
        dying_client(world, at, after).cancel.without_the_holder(job_id, 1, force=False)
    decided = has_claim(world, job_id, 2)

    result = world.client().cancel(job_id)
    silent.die()
    agent = world.agent(alpha)
    agent.until_final(job_id)
    agent.cycles(5)

    assert result is (CancelResult.CANCELED if decided else CancelResult.REQUESTED)
    assert world.job(job_id).state is JobState.DELETED
    assert alpha.scheduler.canceled == ["1"]
    assert world.stored("queue/") == []
    assert len(world.stored("history/")) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("at", range(FORCED_CANCEL_CALLS + 1))
def test_an_agent_that_comes_back_finishes_a_forced_cancel_that_it_hears_of(
    tmp_path: Path, at: int, after: bool
) -> None:
    """An agent acts only on the cancel request: without one, the job runs until the next cancel."""
    world = World(tmp_path)
    job_id, _, silent = held_by_a_silent_agent(world)
    with contextlib.suppress(Killed):
        dying_client(world, at, after).cancel.without_the_holder(job_id, 1, force=False)
    is_heard = f"queue/alpha/{job_id}.1.cancel" in world.stored("queue/")

    silent.cycles(8, every_s=60)

    assert world.job(job_id).state is (JobState.DELETED if is_heard else JobState.RUN)
    assert (world.stored("queue/") == []) is is_heard
    assert len(world.stored("history/")) == (1 if is_heard else 0)


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_an_agent_that_is_killed_while_it_lets_go_is_followed_by_one_that_does(
    tmp_path: Path, after: bool
) -> None:
    for at in range(0, 60, 3):
        world = World(tmp_path / f"{at}")
        job_id, alpha, silent = held_by_a_silent_agent(world)
        silent.die()
        world.client().cancel.without_the_holder(job_id, 1, force=False)
        ended, trap = world.job(job_id), Trap(at, after)
        second = world.agent(alpha, trap)
        with contextlib.suppress(Killed):
            second.cycles(4)
        second.die()

        world.agent(alpha).cycles(4)

        assert set(alpha.scheduler.canceled) == {"1"}
        assert world.job(job_id) == ended
        assert world.stored("queue/") == []
        assert world.log.defects() == []
        if not trap.sprung:
            return
    raise AssertionError("the agent was killed at every call, and made more")


def test_a_submission_that_comes_after_a_forced_cancel_does_not_start_the_script(world: World) -> None:
    alpha = world.system("alpha", late_by_s=SILENCE_S + 100, submit_time_limit_s=5.0)
    alpha.scheduler.submit_faults.append(SubmitFault.LATE)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(1)
    world.clock.pass_by(SILENCE_S)
    world.client().cancel.without_the_holder(job_id, 1, force=False)

    agent.cycles(100)

    assert alpha.scheduler.starts == []
    assert world.job(job_id).state is JobState.DELETED


def test_a_job_that_ended_on_its_system_before_it_could_be_taken_keeps_that_end(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(20))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(2)
    world.clock.pass_by(SILENCE_S)
    with contextlib.suppress(Killed):
        dying_client(world, 8, after=True).cancel.without_the_holder(job_id, 1, force=False)
    assert has_claim(world, job_id, 2)
    assert not world.job(job_id).is_final

    agent.until_final(job_id)

    with pytest.raises(JobStateConflict, match="has ended already: DONE"):
        world.client().cancel.without_the_holder(job_id, 1, force=False)
    assert len(world.stored("history/")) == 1


def test_nothing_is_taken_on_a_store_that_decides_nothing(world: World) -> None:
    job_id, _, _ = held_by_a_silent_agent(world)
    registry = BucketSystemRegistry(world.store, world.ids)
    seen = registry.newest_lease("alpha")
    assert seen is not None
    weak = str(StoreCheck(NOON, "it accepts every conditional write"))
    registry.send_heartbeat("alpha", evolve(seen.lease, store_check=weak), seen.etag)
    world.clock.pass_by(SILENCE_S)

    with pytest.raises(StoreUnfit, match="it accepts every conditional write"):
        world.client().cancel.without_the_holder(job_id, 1, force=True)
    with pytest.raises(StoreUnfit, match="cannot be taken from its holder"):
        world.client().take_back(job_id, ("beta",), 1, force=True)
    assert not has_claim(world, job_id, 2)


# An unclaimed job -----------------------------------------------------------------------------


def test_markers_that_a_cut_submission_did_not_put_are_put(world: World) -> None:
    request = JobRequest(SCRIPT, Pinned(("alpha", "beta", "gamma")), force=True)
    for at in range(20):
        with contextlib.suppress(Killed):
            dying_client(world, at, after=True).submit(request)
        if len(world.stored("queue/")) == 2:
            break
        world.store.delete(world.stored(""))
    job_id = world.stored("jobs/")[0].split("/")[1]

    assert world.client().offer(job_id) == ("alpha", "beta", "gamma")
    assert world.stored("queue/") == [f"queue/{each}/{job_id}.1" for each in ("alpha", "beta", "gamma")]
    assert world.stored("doorbell/") == ["doorbell/alpha", "doorbell/beta", "doorbell/gamma"]


def test_half_a_submission_is_not_offered(world: World) -> None:
    """Its owner was informed that it was not submitted, and may have submitted it again."""
    (archive := world.tmp / "input.zip").write_bytes(b"an archive")
    request = JobRequest(SCRIPT, Pinned(("alpha",)), force=True, input_archive=archive)
    with contextlib.suppress(Killed):
        dying_client(world, 2, after=True).submit(request)
    found = [key for key in world.stored("jobs/") if "script/" in key]
    assert len(found) == 1
    job_id = found[0].split("/")[1]
    files = BucketJobFiles(world.store, world.ids)

    with pytest.raises(JobStateConflict, match="not submitted completely"):
        world.client().offer(job_id)
    assert world.stored("queue/") == []

    files.put_input(job_id, archive)
    assert world.client().offer(job_id) == ("alpha",)


def test_an_unclaimed_job_that_is_offered_to_another_system_is_offered_to_nobody_else(world: World) -> None:
    """The agent that was invited first may come back at any moment: a claim decides."""
    alpha, beta = world.system("alpha"), world.system("beta")
    job_id = world.submit("alpha")

    assert world.client().offer(job_id, ("beta",)) == ("beta",)
    assert world.stored("queue/") == [f"queue/beta/{job_id}.2"]
    assert world.job(job_id).invited == ("beta",)
    world.agent(alpha).cycles(3)
    world.agent(beta).until_final(job_id)

    assert (len(alpha.scheduler.starts), len(beta.scheduler.starts)) == (0, 1)
    assert (world.job(job_id).run_system, world.job(job_id).claim) == ("beta", 2)


def test_a_stale_queue_entry_of_a_job_that_is_offered_elsewhere_is_good_for_nothing(world: World) -> None:
    alpha = world.system("alpha")
    job_id = world.submit("alpha")
    world.client().offer(job_id, ("beta",))
    world.store.put(f"queue/alpha/{job_id}.1", b"")
    world.store.put(f"queue/alpha/{job_id}.2", b"")

    world.agent(alpha).cycles(5)

    assert alpha.scheduler.starts == []
    assert f"queue/alpha/{job_id}.1" not in world.stored("queue/")
    assert not has_claim(world, job_id, 2)


def test_an_offer_may_be_changed_again_and_again(world: World) -> None:
    gamma = world.system("gamma")
    job_id = world.submit("alpha")
    for system in ("beta", "alpha", "gamma"):
        assert world.client().offer(job_id, (system,)) == (system,)
    assert world.stored("queue/") == [f"queue/gamma/{job_id}.4"]

    world.agent(gamma).until_final(job_id)

    assert world.job(job_id).state is JobState.DONE


@pytest.mark.parametrize("finisher", ["the same command", "the agent that was asked first", "a cancel"])
@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("at", range(14))
def test_an_offer_cut_anywhere_is_finished_by_whoever_finds_it(
    tmp_path: Path, at: int, after: bool, finisher: str
) -> None:
    world = World(tmp_path)
    alpha, beta = world.system("alpha"), world.system("beta")
    job_id = world.submit("alpha")
    with contextlib.suppress(Killed):
        dying_client(world, at, after).offer(job_id, ("beta",))
    if finisher == "the same command":
        world.client().offer(job_id, ("beta",))
    elif finisher == "a cancel":
        assert world.client().cancel(job_id) is CancelResult.CANCELED
    elif not has_claim(world, job_id, 1):
        return

    world.agent(alpha).cycles(3)
    world.agent(beta).cycles(8)

    assert alpha.scheduler.starts == []
    assert len(beta.scheduler.starts) == (0 if finisher == "a cancel" else 1)
    assert world.job(job_id).state is (JobState.DELETED if finisher == "a cancel" else JobState.DONE)
    assert world.stored("queue/") == []
    assert len(world.stored("history/")) == 1


def test_a_system_that_takes_the_job_first_keeps_it(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: LONG)
    job_id = world.submit("alpha")
    agent = world.agent(alpha)
    offer = world.client().offer
    newest_claim = offer.jobs.newest_claim

    def meanwhile_taken(*_: object) -> None:
        agent.cycles(2)

    assert newest_claim(job_id) is None
    jobs = Trapped(offer.jobs, Trap(), "jobs")
    jobs.newest_claim = lambda *asked: (newest_claim(*asked), meanwhile_taken())[0]  # type: ignore[attr-defined]

    with pytest.raises(JobStateConflict, match="was taken by alpha in the meantime"):
        evolve(offer, jobs=jobs)(job_id, ("beta",))  # type: ignore[arg-type]
    assert world.job(job_id).state is JobState.RUN
    with pytest.raises(JobStateConflict, match="was taken by alpha in the meantime"):
        offer(job_id)


def test_a_take_back_that_was_cut_is_finished_before_the_job_goes_elsewhere(world: World) -> None:
    job_id, alpha, silent = held_by_a_silent_agent(world)
    gamma = world.system("gamma")
    for at in range(30):
        if has_claim(world, job_id, 2):
            break
        with contextlib.suppress(Killed):
            dying_client(world, at, after=True).take_back(job_id, ("beta",), 1, force=False)

    assert world.client().offer(job_id, ("gamma",)) == ("gamma",)
    world.agent(gamma).until_final(job_id)
    silent.cycles(5)

    assert (world.job(job_id).run_system, world.job(job_id).claim) == ("gamma", 4)
    assert alpha.scheduler.canceled == ["1"]
    assert world.stored("queue/") == []


def test_a_job_that_is_over_or_never_was_is_not_offered(world: World) -> None:
    job_id = world.submit("alpha")
    world.client().cancel(job_id)

    with pytest.raises(JobStateConflict, match="has ended already: DELETED"):
        world.client().offer(job_id)
    with pytest.raises(JobNotFound):
        world.client().offer("12345678")


def test_a_take_back_without_systems_goes_to_those_that_were_asked_before(world: World) -> None:
    job_id, _, _ = held_by_a_silent_agent(world)

    release = world.client().take_back(job_id, (), 1, force=False)

    assert (release.kind, release.system, release.systems) == (ClaimKind.RELEASE, "alpha", ("alpha",))
    assert json.loads(world.body(f"jobs/{job_id}/claims/2.json"))["no_longer"] == ["alpha"]


# delete ---------------------------------------------------------------------------------------


def not_put_away(world: World) -> str:
    """Return a final job whose agent died before it deleted the queue entry."""
    alpha = world.system("alpha")
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.until_final(job_id)
    agent.die()
    world.store.put(f"queue/alpha/{job_id}.1", b"")
    return job_id


def test_a_job_that_a_gone_agent_did_not_put_away_is_deleted_by_force(world: World) -> None:
    job_id = not_put_away(world)
    delete = world.client().delete
    for force in (False, True):
        with pytest.raises(JobStateConflict, match=r"agent of alpha is still cleaning up job .*\. Try"):
            delete(job_id, force=force)
    world.clock.pass_by(SILENCE_S)
    with pytest.raises(JobNotPutAway, match="agent of alpha did not clean up job"):
        delete(job_id)

    delete(job_id, force=True)

    # The request shows a returning agent that nothing was lost: the job was deleted.
    assert [key for key in world.stored() if job_id in key] == [f"queue/alpha/{job_id}.1.cancel"]


def test_an_agent_that_comes_back_to_a_deleted_job_leaves_nothing_of_it(world: World) -> None:
    job_id, alpha, silent = held_by_a_silent_agent(world)
    world.client().cancel.without_the_holder(job_id, 1, force=False)
    world.client().delete(job_id)

    silent.cycles(5)

    assert alpha.scheduler.canceled == ["1"]
    assert [key for key in world.stored() if job_id in key and not key.startswith("systems/")] == []
    assert world.log.defects() == []
