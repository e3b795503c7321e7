"""Rare moments, which otherwise occur only by chance: the simulation found most of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field

from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.application.shared.cancel_job import CancelResult
from cloudq.domain.errors import JobStateConflict, LeaseLost, WorkspaceProblem
from cloudq.domain.jobs.job_state import JobState
from tests.parts.scripted_scheduler import Script, SubmitFault
from tests.parts.trap import During, Killed, Trap, Trapped
from tests.parts.world import Agent, System, World

LONG = Script(300, 0, "hello\n")


def test_pieces_of_a_log_that_an_agent_before_put_go_once_the_whole_log_is_there(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: LONG)
    first = world.agent(alpha)
    job_id = world.submit("alpha")
    first.cycles(40)
    first.die()
    assert f"jobs/{job_id}/1/log/stdout/{0:020}" in world.stored()

    world.agent(alpha).until_final(job_id)

    assert [key for key in world.stored() if "/log/" in key] == []


def test_a_job_that_was_claimed_goes_on_when_what_it_was_held_for_is_deleted_meanwhile(world: World) -> None:
    alpha = world.system()
    trap = Trap()
    doomed = world.agent(alpha, trap)
    needed = world.submit("alpha")
    doomed.until_final(needed)
    doomed.cycles(3)
    job_id = world.submit("alpha", hold_ok_jid=(needed,))
    trap.after_name = "store.put_if_absent"
    with contextlib.suppress(Killed):
        doomed.cycles(30)
    assert world.stored(f"jobs/{job_id}/claims/")
    doomed.die()
    world.client().delete(needed)

    world.agent(alpha).until_final(job_id)

    assert world.job(job_id).state is JobState.DONE


def test_a_job_whose_record_has_a_scheduler_job_id_is_not_submitted_again(world: World) -> None:
    """The submit command failed, so only the record has the id; the scheduler then forgets the job."""
    alpha = world.system(behaviour=lambda *_: Script(5))
    alpha.scheduler.holds_queue = True
    alpha.scheduler.submit_faults.append(SubmitFault.FAILED_BUT_TAKEN)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.until(lambda: world.job(job_id).jobid != "")
    agent.die()
    alpha.scheduler.reset()

    world.agent(alpha).until_final(job_id)

    assert world.job(job_id).state is JobState.ERROR
    assert len(alpha.scheduler.submissions) == 1


def test_a_stopped_second_submission_is_no_end_of_the_script_to_who_sees_no_lock(
    world: World, tmp_path: Path
) -> None:
    """Another home has only the scheduler as evidence, which has forgotten the submission that ran."""
    failing = Script(30, 3, "hello\n")
    alpha = world.system(behaviour=lambda *_: failing, slots=1, late_by_s=60, forget_after_s=40)
    first = world.agent(alpha)
    job_id = world.submit("alpha")
    alpha.scheduler.submit_faults.append(SubmitFault.LATE)
    first.until(lambda: len(alpha.scheduler.starts) == 1)
    first.die()
    alpha.scheduler.holds_queue = True
    world.clock.pass_by(120)  # the late submission waits; the other one has failed and is forgotten
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    second = world.agent(evolve(alpha, home=elsewhere), host="login2")
    second.cycles(50)

    alpha.scheduler.holds_queue = False
    second.cycles(50)

    assert len(alpha.scheduler.submissions) == 2
    assert not world.job(job_id).is_final
    second.die()
    world.agent(alpha).until_final(job_id)
    assert (world.job(job_id).state, world.job(job_id).exit_code) == (JobState.ERROR, 3)


# Cancels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", range(4, 10))
def test_a_cancel_after_a_take_back_that_was_cut_ends_the_local_job_of_the_old_holder(
    tmp_path: Path, at: int
) -> None:
    world = World(tmp_path)
    alpha = world.system(behaviour=lambda *_: LONG)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(2)
    client = world.client(Trapped(world.store, Trap(at, after=True), "store"))  # type: ignore[arg-type]
    with contextlib.suppress(Killed):
        client.take_back(job_id, ("alpha",), 1, force=True)

    canceled = world.client().cancel(job_id)
    agent.cycles(70)

    assert world.job(job_id).state is JobState.DELETED
    assert alpha.scheduler.canceled == ["1"]
    assert world.stored("queue/") == []
    assert canceled is CancelResult.CANCELED or not world.stored(f"jobs/{job_id}/claims/2")


def test_a_canceled_job_whose_lock_cannot_be_blocked_yet_is_not_handed_over_meanwhile(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: LONG)
    alpha.scheduler.submit_faults.append(SubmitFault.DEFERRED)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(2)
    world.client().cancel(job_id)
    agent.parts.run.cycle.cancel_held_jobs.end_unstarted = broken = BrokenLocks()  # type: ignore[assignment]

    agent.cycles(60)

    assert broken.asked > 1
    assert alpha.scheduler.submissions == []


@define
class BrokenLocks:
    """A disk on which locks cannot be taken."""

    asked: int = 0

    def __call__(self, *_: object) -> None:
        self.asked += 1
        raise WorkspaceProblem("cannot block the lock")


def test_a_job_that_was_canceled_and_is_out_of_sight_does_not_show_a_start(world: World) -> None:
    alpha = world.system()
    alpha.scheduler.holds_queue = True
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(2)
    alpha.scheduler.lose("1")
    world.client().cancel(job_id)

    agent.cycles(3)

    assert world.job(job_id).state is JobState.DELETING
    assert world.job(job_id).time_start is None


def test_a_cancel_of_a_job_whose_outputs_are_under_way_is_no_trouble(world: World) -> None:
    alpha, agent, job_id, _ = an_agent_that_stages_out(world)
    agent.die()
    world.client().cancel(job_id)

    world.agent(alpha).until_final(job_id)

    assert world.job(job_id).state is JobState.DONE
    assert [told for told in world.log.told if told[1] == "job has trouble"] == []


# Stage-outs that take long ----------------------------------------------------------------------


def test_a_stage_out_that_outlasts_the_lease_is_not_begun_again_beside_itself(world: World) -> None:
    _, agent, job_id, waiting = an_agent_that_stages_out(world)
    world.clock.pass_by(400)
    agent.cycles(2)

    assert len(waiting) == 1
    waiting.pop()()
    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE


def an_agent_that_stages_out(world: World) -> tuple[System, Agent, str, list[Callable[[], None]]]:
    """Return an agent whose job has ended and whose workers are stopped, with the waiting work."""
    alpha = world.system(behaviour=lambda *_: Script(3, 0, "hello\n", outputs={"out": b"1"}))
    agent = world.agent(alpha)
    waiting: list[Callable[[], None]] = []
    agent.parts.run.cycle.finish_jobs.workers = SlowWorkers(waiting)  # type: ignore[assignment]
    job_id = world.submit("alpha")
    agent.cycles(3)
    assert world.job(job_id).state is JobState.COMPLETING
    return alpha, agent, job_id, waiting


@define
class SlowStarted:
    work: Callable[[], Any]
    answer: list[Any] = field(factory=list)

    def is_done(self) -> bool:
        return bool(self.answer)

    def wait(self, _: float) -> None:
        """Return at once: waiting does not advance the work."""

    def result(self) -> Any:
        return self.answer[0]

    def get_on(self) -> None:
        self.answer.append(self.work())


@define
class SlowWorkers:
    """Workers that start when a test lets them."""

    waiting: list[Callable[[], None]]

    def map(self, work: Callable[[Any], Any], items: Any) -> list[Any]:
        return [work(item) for item in items]

    def start(self, work: Callable[[], Any], _: object) -> SlowStarted:
        started = SlowStarted(work)
        self.waiting.append(started.get_on)
        return started


# Schedulers and files that fail -----------------------------------------------------------------


def test_a_pinned_job_is_claimed_while_the_scheduler_does_not_say_what_is_free(world: World) -> None:
    alpha = world.system(slots=4)
    alpha.scheduler.unavailable = True
    agent = world.agent(alpha)
    both, pinned = world.submit("alpha", "beta"), world.submit("alpha")

    agent.cycles(30)

    assert world.stored(f"jobs/{pinned}/claims/") != []
    assert world.stored(f"jobs/{both}/claims/") == []
    assert {job.job_id: job.note for job in world.client().query.active().jobs}[both] == "scripted: no answer"


def test_files_of_one_job_that_cannot_be_listed_leave_the_others_to_go_on(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(40))
    agent = world.agent(alpha)
    bad, good = world.submit("alpha"), world.submit("alpha")
    agent.cycles(2)
    held = next(held for tag, held in agent.parts.holdings.held.items() if tag.job_id == bad)
    held.space = Trapped(held.space, UnreadableFiles(), "space")  # type: ignore[assignment]

    agent.until_final(good)

    assert world.job(good).state is JobState.DONE


class UnreadableFiles(Trap):
    """A trap that makes every listing fail."""

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        if name == "space.fingerprint":
            raise WorkspaceProblem("cannot list")
        return work()


def test_a_look_that_missed_a_submission_does_not_shorten_the_grace_of_the_job(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(1, dies_without_record=True), late_by_s=12.0)
    alpha.scheduler.submit_faults.append(SubmitFault.LATE)
    alpha.scheduler._forget_after_s = 0.0
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(3)
    for seconds in (2, 200):
        alpha.scheduler.advance()
        world.clock.pass_by(seconds)

    agent.cycles(10)

    assert world.job(job_id).state is not JobState.ERROR


def test_a_job_that_has_ended_is_not_taken_back(world: World) -> None:
    agent = world.agent(world.system())
    job_id = world.submit("alpha")
    agent.until_final(job_id)

    with pytest.raises(JobStateConflict, match="has ended"):
        world.client().take_back(job_id, ("alpha",), 1, force=True)

    assert world.stored(f"jobs/{job_id}/claims/") == [f"jobs/{job_id}/claims/1.json"]


def test_an_agent_that_wakes_without_its_lease_hands_over_nothing(world: World) -> None:
    """A successor may have ended the jobs and removed their locks."""
    alpha = world.system(behaviour=lambda *_: LONG)
    sleeper = During(name="space.install_job_shell", meanwhile=lambda: world.clock.pass_by(400))
    agent = world.agent(alpha, sleeper)
    job_ids = [world.submit("alpha"), world.submit("alpha")]

    with pytest.raises(LeaseLost):
        agent.cycle()

    assert alpha.scheduler.submissions == []
    agent.until_final(*job_ids)
    assert len(alpha.scheduler.starts) == 2


# Take-backs -------------------------------------------------------------------------------------


def test_a_holder_that_had_written_nothing_yet_writes_nothing_after_a_take_back(world: World) -> None:
    alpha = world.system()
    job_id = world.submit("alpha")
    take_back = During(
        name="scheduler.submit",
        meanwhile=lambda: world.client().take_back(job_id, ("alpha",), 1, force=True),
    )
    held_up = world.agent(alpha, take_back)

    held_up.cycle()

    assert world.job(job_id).state is JobState.INIT
    held_up.until_final(job_id)
    held_up.cycles(3)
    assert (world.job(job_id).state, world.job(job_id).claim) == (JobState.DONE, 3)
    assert world.stored("queue/") == []


def test_sleep_between_the_records_and_the_clock_is_no_time_of_looking(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha = world.system(behaviour=lambda *_: Script(5), forget_after_s=0.0, record_lag_s=60.0)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(6)
    read = DirectoryClaimSpace.records

    def read_and_sleep(space: DirectoryClaimSpace, tasks: Sequence[int | None]) -> Any:
        records = read(space, tasks)
        for _ in range(3):
            world.clock.pass_by(50)
            agent.parts.lease.send_heartbeat()
        return records

    with monkeypatch.context() as held_up:
        held_up.setattr(DirectoryClaimSpace, "records", read_and_sleep)
        agent.cycles(1)
    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE
