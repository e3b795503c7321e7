"""Attempts to break each invariant of protocol section 9."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from cloudq.application.shared.cancel_job import CancelResult
from cloudq.bootstrap.client import ClientParts
from cloudq.domain.errors import CloudqError, JobStateConflict, LeaseLost, StoreUnavailable
from cloudq.domain.jobs.job_request import JobRequest
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.scripts.target import Pinned
from tests.parts.scripted_scheduler import Script, SubmitFault
from tests.parts.trap import Killed, Trap, Trapped
from tests.parts.world import SCRIPT, World, text_of

LONG = Script(duration_s=30_000)


# I1: a script is started at most once per claim and task --------------------------------------


@pytest.mark.parametrize("fault", [SubmitFault.ANSWER_LOST, SubmitFault.LATE, SubmitFault.LOST])
def test_i1_a_submit_command_without_an_answer_never_starts_a_script_twice(
    world: World, fault: SubmitFault
) -> None:
    alpha = world.system(behaviour=lambda *_: Script(40, 0, "hello\n"))
    alpha.scheduler.submit_faults.append(fault)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")

    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE
    assert len(alpha.scheduler.starts) == 1


def test_i1_a_submission_that_comes_hours_late_does_not_start_the_script_again(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(40), late_by_s=7200.0)
    alpha.scheduler.submit_faults.append(SubmitFault.LATE)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.until_final(job_id)

    agent.cycles(200, every_s=60)

    assert len(alpha.scheduler.starts) == 1
    assert world.job(job_id).state is JobState.DONE


def test_i1_of_two_submissions_the_one_that_took_the_lock_is_followed(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(40), late_by_s=12.0, submit_time_limit_s=5.0)
    alpha.scheduler.submit_faults.append(SubmitFault.LATE)
    alpha.scheduler.holds_queue = True
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(8)
    assert len(alpha.scheduler.submissions) == 2

    alpha.scheduler.holds_queue = False
    agent.until_final(job_id)

    assert len(alpha.scheduler.starts) == 1
    assert world.job(job_id).state is JobState.DONE


def test_a_cancel_spares_a_job_that_has_the_id_of_one_that_the_scheduler_lost(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: LONG)
    agent = world.agent(alpha)
    lost = world.submit("alpha")
    agent.cycles(2)
    alpha.scheduler.reset()
    other = world.submit("alpha")
    agent.cycles(2)
    assert world.job(lost).jobid == world.job(other).jobid

    world.client().cancel(lost)
    agent.until_final(lost)

    assert (world.job(lost).state, world.job(other).state) == (JobState.DELETED, JobState.RUN)


def test_i1_a_late_submission_that_nobody_knew_of_is_followed_as_soon_as_it_starts(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(300), late_by_s=60.0, submit_time_limit_s=5.0, slots=1)
    alpha.scheduler.submit_faults.append(SubmitFault.LATE)
    alpha.scheduler.holds_queue = True
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(16)
    (own, _), (late, _) = alpha.scheduler.submissions
    assert world.job(job_id).jobid == own

    alpha.scheduler._jobs = dict(reversed(alpha.scheduler._jobs.items()))  # so that the late one starts first
    alpha.scheduler.holds_queue = False
    agent.cycles(4)

    assert (world.job(job_id).state, world.job(job_id).jobid) == (JobState.RUN, late)
    assert alpha.scheduler.canceled == [own]


@pytest.mark.parametrize("at", range(0, 60, 2))
def test_i1_an_agent_paused_anywhere_while_a_successor_takes_over_starts_nothing_twice(
    tmp_path: Path, at: int
) -> None:
    """Both continue afterwards; the paused one wakes in the middle of its call."""
    world = World(tmp_path)
    alpha = world.system(behaviour=lambda *_: Script(30, 0, "hello\n", outputs={"out": b"1"}))
    trap = PauseTrap(at)
    paused = world.agent(alpha, trap, host="login1")
    successor = world.agent(alpha, host="login2")
    job_id = world.submit("alpha")
    trap.meanwhile = lambda: successor.cycles(60, every_s=10)
    for _ in range(30):
        with contextlib.suppress(LeaseLost, CloudqError):
            paused.cycle()
        world.clock.pass_by(5)

    for _ in range(30):
        successor.cycle()
        world.clock.pass_by(20)
        with contextlib.suppress(LeaseLost, CloudqError):
            paused.cycle()

    assert len(alpha.scheduler.starts) == 1
    assert world.job(job_id).state is JobState.DONE
    assert len(world.stored("history/")) == 1
    assert text_of(world.client().read_log.of_job(world.job(job_id), "stdout", None)) == "hello\n"


@define
class PauseTrap(Trap):
    """A trap that delays the chosen call while others act, and then lets it take effect."""

    meanwhile: Callable[[], None] = lambda: None

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        number = len(self.calls)
        self.calls.append(name)
        if number == self.at:
            self.meanwhile()
        return work()


def test_i1_a_requeue_by_the_scheduler_runs_the_script_again_and_its_last_end_counts(world: World) -> None:
    runs = []

    def behaviour(*_: object) -> Script:
        runs.append(1)
        return Script(30, 0, "hello\n")

    alpha = world.system(behaviour=behaviour)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(3)
    alpha.scheduler.holds_queue = True
    alpha.scheduler.requeue(alpha.scheduler.starts[0].scheduler_job_id)
    agent.cycles(2)
    assert world.job(job_id).state is JobState.READY

    alpha.scheduler.holds_queue = False
    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE
    assert len(alpha.scheduler.starts) == 2


# I2: nothing submitted is lost ----------------------------------------------------------------


def test_i2_a_job_that_the_scheduler_forgot_and_that_left_no_trace_ends_as_lost(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(50, dies_without_record=True), forget_after_s=0.0)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")

    agent.until_final(job_id)

    job = world.job(job_id)
    assert job.state is JobState.ERROR
    assert job.error_msg.startswith("lost: started on scripted")


def test_i2_a_lost_job_is_found_by_one_shot_agents_too(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(50, dies_without_record=True), forget_after_s=0.0)
    job_id = world.submit("alpha")
    for _ in range(20):
        agent = world.agent(alpha, one_shot=True)
        agent.parts.run.one_cycle()
        agent.die()
        world.clock.pass_by(60)

    assert world.job(job_id).state is JobState.ERROR


def test_i2_an_end_while_no_agent_ran_is_found_in_the_records_long_after(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(60, 3, "hello\n"), forget_after_s=30.0)
    first = world.agent(alpha)
    job_id = world.submit("alpha")
    first.cycles(3)
    first.die()
    world.clock.pass_by(86_400)

    world.agent(alpha).cycles(2)

    assert (world.job(job_id).state, world.job(job_id).exit_code) == (JobState.ERROR, 3)


def test_i2_a_refusal_for_the_moment_is_tried_again(world: World) -> None:
    alpha = world.system()
    alpha.scheduler.submit_faults.extend([SubmitFault.DEFERRED] * 3)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(2)
    assert world.job(job_id).state is JobState.INIT
    assert world.client().query.active().jobs[0].note == "scripted: too many jobs for the moment"

    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE


def test_i2_a_refusal_for_good_is_an_error_with_the_schedulers_words(world: World) -> None:
    alpha = world.system()
    alpha.scheduler.submit_faults.append(SubmitFault.REFUSED)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")

    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.ERROR
    assert world.job(job_id).error_msg == "scripted: refused"


# I3: one holder per job -----------------------------------------------------------------------


def test_i3_two_agents_of_one_name_never_act_at_once(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(20))
    first, second = world.agent(alpha, host="login1"), world.agent(alpha, host="login2")
    job_ids = [world.submit("alpha") for _ in range(10)]
    for _ in range(60):
        first.cycle()
        second.cycle()

        assert not (first.parts.lease.may_write() and second.parts.lease.may_write())
        world.clock.pass_by(5)

    assert all(world.job(job_id).state is JobState.DONE for job_id in job_ids)
    assert len(alpha.scheduler.starts) == 10


def test_i3_a_queue_entry_put_by_a_stranger_does_not_let_another_system_run_the_job(world: World) -> None:
    alpha, beta = world.system("alpha", behaviour=lambda *_: LONG), world.system("beta")
    job_id = world.submit("alpha")
    world.agent(alpha).cycles(2)
    world.store.put(f"queue/beta/{job_id}.1", b"")
    world.store.put(f"queue/beta/{job_id}.2", b"")
    world.store.put(f"queue/beta/{job_id}.3", b"")

    world.agent(beta).cycles(5)

    assert beta.scheduler.starts == []
    assert f"jobs/{job_id}/claims/2.json" not in world.stored("jobs/")


# I4: half submissions are invisible -----------------------------------------------------------


def test_i4_a_submission_cut_before_its_queue_entry_is_seen_and_run_by_nobody(world: World) -> None:
    alpha = world.system()
    agent = world.agent(alpha)
    for at in range(3, 7):
        with pytest.raises(Killed):
            client_that_dies(world, Trap(at)).submit(JobRequest(SCRIPT, Pinned(("alpha",))))
        agent.cycles(2)
        if world.stored("queue/alpha/"):
            break

        assert alpha.scheduler.starts == []
        assert world.client().query.active().jobs == ()


def client_that_dies(world: World, trap: Trap) -> ClientParts:
    """A client whose process dies at a chosen request."""
    return world.client(Trapped(world.store, trap, "store"))  # type: ignore[arg-type]


# I5: a final state has evidence, and no script of that claim starts after it ------------------


def test_i5_logs_and_outputs_are_in_the_bucket_before_the_record_is_final(world: World) -> None:
    agent = world.agent(world.system(behaviour=lambda *_: Script(0, 0, "hello\n", outputs={"out": b"1"})))
    agent.cycle()
    job_id = world.submit("alpha")
    writes: list[str] = []
    put, upload, replace = world.store.put, world.store.upload, world.store.put_if_match
    store = world.store
    store.upload = lambda key, source: (writes.append(key), upload(key, source))[1]  # type: ignore[method-assign]
    store.put = lambda key, body: (writes.append(key), put(key, body))[1]  # type: ignore[method-assign]
    store.put_if_match = lambda key, body, etag: (  # type: ignore[method-assign]
        writes.append(f"{key} {json.loads(body).get('state')}"),
        replace(key, body, etag),
    )[1]

    agent.until_final(job_id)

    final = writes.index(f"jobs/{job_id}/manifest.json DONE")
    assert writes.index(f"jobs/{job_id}/1/stdout") < final
    assert writes.index(f"jobs/{job_id}/1/output.zip") < final
    assert all(key.startswith("history/") is False for key in writes[:final])


def test_i5_a_job_canceled_while_its_submission_hangs_never_starts_afterwards(world: World) -> None:
    alpha = world.system(late_by_s=600.0)
    alpha.scheduler.submit_faults.append(SubmitFault.LATE)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(1)
    assert world.client().cancel(job_id) is CancelResult.REQUESTED

    agent.until_final(job_id)
    agent.cycles(200)

    assert world.job(job_id).state is JobState.DELETED
    assert alpha.scheduler.starts == []


# I6: a failed query changes no state ----------------------------------------------------------


def test_i6_a_scheduler_that_gives_no_answer_for_an_hour_changes_nothing(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: LONG)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycles(3)
    before = world.job(job_id)

    alpha.scheduler.unavailable = True
    agent.cycles(720)
    alpha.scheduler.unavailable = False
    agent.cycles(2)

    assert world.job(job_id) == before
    told = [str(about["error"]) for _, _, about in world.log.told if "error" in about]
    assert len(told) == 1  # one message, however long the outage lasts
    assert "gave no answer" in told[0]


def test_i6_a_store_that_is_down_for_a_while_loses_and_doubles_nothing(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(15, 0, "hello\n"))
    store = DownStore(world.store)
    agent = world.agent(alpha, store=store)  # type: ignore[arg-type]
    agent.cycle()
    job_ids = [world.submit("alpha") for _ in range(5)]
    for number in range(60):
        store.is_down = number % 7 > 2
        with contextlib.suppress(StoreUnavailable):
            agent.cycle()
        world.clock.pass_by(5)

    store.is_down = False
    agent.until_final(*job_ids)

    assert all(world.job(job_id).state is JobState.DONE for job_id in job_ids)
    assert len(alpha.scheduler.starts) == 5


class DownStore:
    """A store that answers nothing while it is down."""

    def __init__(self, inner: object) -> None:
        self.inner, self.is_down = inner, False

    def __getattr__(self, name: str) -> Any:
        if self.is_down:
            raise StoreUnavailable("down")
        return getattr(self.inner, name)


# I7: writes of a former holder have no effect -------------------------------------------------


def test_i7_a_job_taken_back_from_a_silent_system_is_run_by_another(world: World) -> None:
    alpha, beta = world.system("alpha", behaviour=lambda *_: LONG), world.system("beta")
    dead = world.agent(alpha)
    job_id = world.submit("alpha")
    dead.cycles(3)
    dead.die()
    world.clock.pass_by(1801)
    world.client().take_back(job_id, ("beta",), 1, force=False)

    world.agent(beta).until_final(job_id)

    job = world.job(job_id)
    assert (job.state, job.run_system, job.claim) == (JobState.DONE, "beta", 2 + 1)


def test_i7_an_agent_that_wakes_after_a_take_back_lets_go_and_ends_its_local_job(world: World) -> None:
    alpha, beta = world.system("alpha", behaviour=lambda *_: LONG), world.system("beta")
    silent = world.agent(alpha)
    job_id = world.submit("alpha")
    silent.cycles(3)
    world.clock.pass_by(1801)
    world.client().take_back(job_id, ("beta",), 1, force=False)
    world.agent(beta).until_final(job_id)
    ended = world.job(job_id)

    silent.cycles(5)

    assert alpha.scheduler.canceled == ["1"]
    assert world.job(job_id) == ended
    assert world.stored("queue/") == []
    assert len(world.stored("history/")) == 1


@pytest.mark.parametrize("at", range(12))
@pytest.mark.parametrize("after", [False, True])
def test_i7_a_take_back_cut_anywhere_is_finished_by_running_it_again(
    tmp_path: Path, at: int, after: bool
) -> None:
    world = World(tmp_path)
    alpha, beta = world.system("alpha", behaviour=lambda *_: LONG), world.system("beta")
    silent = world.agent(alpha)
    job_id = world.submit("alpha")
    silent.cycles(3)
    world.clock.pass_by(1801)
    with_trap = client_that_dies(world, Trap(at, after))
    try:
        with_trap.take_back(job_id, ("beta",), 1, force=False)
    except Killed:
        world.client().take_back(job_id, ("beta",), 1, force=False)

    world.agent(beta).until_final(job_id)
    silent.cycles(5)

    assert world.job(job_id).state is JobState.DONE
    assert world.job(job_id).run_system == "beta"
    assert world.stored("queue/") == []
    assert len(world.stored("history/")) == 1


@pytest.mark.parametrize("at", range(4, 10))
def test_i7_a_take_back_that_its_owner_gave_up_is_finished_by_the_agent_that_held_the_job(
    tmp_path: Path, at: int
) -> None:
    world = World(tmp_path)
    alpha, beta = world.system("alpha", behaviour=lambda *_: LONG), world.system("beta")
    held = world.agent(alpha)
    job_id = world.submit("alpha")
    held.cycles(3)
    world.clock.pass_by(1801)
    with contextlib.suppress(Killed):
        client_that_dies(world, Trap(at, after=True)).take_back(job_id, ("beta",), 1, force=False)
    if f"jobs/{job_id}/claims/2.json" not in world.stored("jobs/"):
        return

    held.die()
    world.agent(alpha).cycles(70)
    world.agent(beta).cycles(70)
    claims = [key for key in world.stored("jobs/") if "/claims/" in key]

    job = world.job(job_id)
    assert (job.state, job.run_system) == (JobState.DONE, "beta") or job.state is JobState.RUN, claims


def test_i7_a_live_holder_is_not_taken_from_without_force(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: LONG)
    job_id = world.submit("alpha")
    world.agent(alpha).cycles(3)

    with pytest.raises(JobStateConflict, match="reported recently"):
        world.client().take_back(job_id, ("beta",), 1, force=False)


# I8 and I9: exactly one history key, and a queue entry until the job is final -----------------


def test_i8_a_final_job_whose_history_entry_is_missing_gets_it_again(world: World) -> None:
    alpha = world.system()
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.until_final(job_id)
    agent.cycles(2)
    world.store.delete(world.stored("history/"))
    world.store.put(f"queue/alpha/{job_id}.1", b"")
    world.store.put("doorbell/alpha", b"rung again")

    agent.cycles(2)

    assert [entry.job_id for entry in world.client().query.history()] == [job_id]
    assert world.stored("queue/") == []


def test_i9_a_held_job_whose_queue_entry_vanished_gets_it_again(world: World) -> None:
    agent = world.agent(world.system(behaviour=lambda *_: LONG))
    job_id = world.submit("alpha")
    agent.cycles(2)
    world.store.delete([f"queue/alpha/{job_id}.1"])

    agent.cycles(70)

    assert world.stored("queue/") == [f"queue/alpha/{job_id}.1"]


def test_i9_the_queue_entry_of_a_job_that_was_deleted_goes_after_the_second_listing(world: World) -> None:
    agent = world.agent(world.system())
    world.store.put("queue/alpha/0123abcd.1", b"")
    agent.cycles(1)
    assert world.stored("queue/") != []

    agent.cycles(70)

    assert world.stored("queue/") == []


def test_a_cancel_of_a_job_that_nobody_holds_ends_it_at_once(world: World) -> None:
    job_id = world.submit("alpha")

    assert world.client().cancel(job_id) is CancelResult.CANCELED
    assert world.job(job_id).state is JobState.DELETED
    assert world.stored("queue/") == []
    assert len(world.stored("history/")) == 1


@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize("after", [False, True])
def test_a_cancel_cut_anywhere_is_finished_by_the_agent(tmp_path: Path, at: int, after: bool) -> None:
    world = World(tmp_path)
    alpha = world.system()
    job_id = world.submit("alpha")
    trap = Trap(at, after)
    with contextlib.suppress(Killed):
        client_that_dies(world, trap).cancel(job_id)
    claimed = bool(world.stored(f"jobs/{job_id}/claims/"))

    agent = world.agent(alpha)
    agent.cycles(70)

    assert world.job(job_id).state is (JobState.DELETED if claimed else JobState.DONE)
    assert len(alpha.scheduler.starts) == (0 if claimed else 1)
    assert world.stored("queue/") == []
    assert len(world.stored("history/")) == 1


def test_a_cancel_of_a_finished_job_says_how_it_ended(world: World) -> None:
    agent = world.agent(world.system())
    job_id = world.submit("alpha")
    agent.until_final(job_id)

    with pytest.raises(JobStateConflict, match="has ended already: DONE"):
        world.client().cancel(job_id)


def test_local_job_ids_in_the_bucket_are_never_believed(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: LONG)
    victim = world.submit("alpha")
    agent = world.agent(alpha)
    agent.cycles(2)
    victims_id = world.job(victim).jobid
    forged = world.submit("alpha")
    key = f"jobs/{forged}/manifest.json"
    record = json.loads(world.body(key))
    record |= {"state": "RUN", "jobid": victims_id, "claim": 1, "run_system": "alpha", "home": "another"}
    record |= {"time_ready": record["time_submit"], "workdir": "/tmp/of/another"}
    world.store.put(key, json.dumps(record).encode())
    world.store.put(f"queue/alpha/{forged}.1.cancel", b"")
    world.store.put("doorbell/alpha", b"rung")

    agent.cycles(20)

    assert alpha.scheduler.canceled == []
    assert world.job(victim).state is JobState.RUN


def test_i8_a_history_entry_that_could_not_be_put_at_once_is_put_under_the_same_key(world: World) -> None:
    agent = world.agent(world.system())
    agent.cycle()
    job_id = world.submit("alpha")
    put = world.store.put
    tried: list[str] = []

    def put_without_an_answer(key: str, body: bytes) -> str:
        etag = put(key, body)
        if key.startswith("history/"):
            tried.append(key)
            if len(tried) == 1:
                raise StoreUnavailable("the answer was lost")
        return etag

    world.store.put = put_without_an_answer  # type: ignore[method-assign]
    agent.cycles(10)

    assert world.job(job_id).state is JobState.DONE
    assert len(tried) == 2
    assert len(world.stored("history/")) == 1
