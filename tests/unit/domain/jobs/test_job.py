"""The record of a job: it changes only as the table allows, and keeps the times and reasons."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from cloudq.domain.errors import IllegalTransition, JobStateConflict
from cloudq.domain.jobs.claim import Claim, ClaimKind
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job import MAX_CHANGES, MAX_REASON_CHARS, Job
from cloudq.domain.jobs.job_state import JobState, may_follow
from cloudq.domain.jobs.summary import ActiveJob
from cloudq.domain.jobs.task_states import TaskState, TaskStates
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange

S = JobState
T0 = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CLAIM = Claim(1, ClaimKind.RUN, "nonce", T0, system="abci", epoch=2, home="home-1")


def after(seconds: int) -> datetime:
    return T0 + timedelta(seconds=seconds)


def new_job(state: JobState = S.INIT, array: str = "") -> Job:
    return Job("3f7e7681", "job.sh", state=state, array_tid=ArrayRange.parse(array) if array else None)


@pytest.mark.parametrize(("before", "next_state"), list(product(JobState, JobState)))
def test_a_change_is_made_if_the_table_allows_it_and_refused_otherwise(
    before: JobState, next_state: JobState
) -> None:
    job = new_job(before)
    if before is next_state:
        assert job.entered(next_state, T0) is job
    elif may_follow(before, next_state):
        assert job.entered(next_state, T0, "why").changes[-1].reason == "why"
    else:
        with pytest.raises(
            IllegalTransition, match=rf"is {before.value} and cannot become {next_state.value}"
        ):
            job.entered(next_state, T0)


def test_an_illegal_change_is_a_conflict_not_a_crash() -> None:
    with pytest.raises(JobStateConflict):
        new_job(S.DONE).entered(S.RUN, T0)


def test_a_job_goes_from_submit_to_its_end() -> None:
    job = new_job().received(CLAIM, after(1)).handed_over("42", after(2)).running(after(3))
    job = job.ended(TaskState(S.DONE, 0), after(4))

    assert (job.run_system, job.home, job.jobid, job.tag) == ("abci", "home-1", "42", ClaimTag("3f7e7681", 1))
    assert (job.time_receive, job.time_ready, job.time_start, job.time_finish) == tuple(
        map(after, (1, 2, 3, 4))
    )
    assert [(change.state, change.time) for change in job.changes] == [
        (S.READY, after(2)), (S.RUN, after(3)), (S.DONE, after(4)),
    ]  # fmt: skip
    assert (job.exit_code, job.error_msg, job.is_final) == (0, "", True)


def test_a_failed_job_says_why() -> None:
    job = new_job(S.RUN).ended(TaskState(S.ERROR, 3, "exit code 3"), T0)

    assert (job.state, job.exit_code, job.error_msg) == (S.ERROR, 3, "exit code 3")


def test_a_job_that_was_requeued_keeps_its_first_start() -> None:
    job = new_job(S.RUN).running(after(1)).entered(S.READY, after(2)).running(after(3))

    assert (job.state, job.time_start) == (S.RUN, after(1))


def test_a_job_being_canceled_goes_on_being_canceled_while_it_runs() -> None:
    assert new_job(S.DELETING).running(T0).state is S.DELETING


def test_an_array_job_that_is_handed_over_has_all_its_tasks() -> None:
    job = new_job(array="1-9:2").handed_over("42", T0)

    assert job.tasks == TaskStates.all_alike(ArrayRange.parse("1-9:2"), S.READY)
    assert job.task_ids == (1, 3, 5, 7, 9)


def test_a_plain_job_has_one_task_without_a_number() -> None:
    assert new_job().task_ids == (None,)


def test_a_job_that_is_taken_back_is_as_nobody_had_taken_it() -> None:
    submitted = new_job(array="1-3")
    held = submitted.received(CLAIM, after(1)).handed_over("42", after(2)).running(after(3))
    back = held.taken_back(after(4), ("other",), "abci is gone")

    assert back.state is S.INIT
    assert back.invited == ("other",)
    assert back.changes[-1].reason == "abci is gone"
    for name in ("jobid", "run_system", "home", "claim", "time_receive", "time_ready", "time_start", "tasks"):
        assert getattr(back, name) == getattr(submitted, name)


def test_a_final_job_is_not_taken_back() -> None:
    with pytest.raises(IllegalTransition):
        new_job(S.DONE).taken_back(T0, ("other",), "")


def test_the_record_stays_small_however_often_a_job_is_requeued() -> None:
    job = new_job(S.READY)
    for number in range(3 * MAX_CHANGES):
        job = job.entered(S.RUN if job.state is S.READY else S.READY, after(number), "x" * 10_000)

    assert len(job.changes) == MAX_CHANGES
    assert job.changes[0].time == after(0)
    assert job.changes[-1].time == after(3 * MAX_CHANGES - 1)
    assert all(len(change.reason) == MAX_REASON_CHARS for change in job.changes)


def test_a_finished_job_has_a_line_in_the_history() -> None:
    entry = HistoryEntry.of(new_job(S.RUN).received(CLAIM, T0).ended(TaskState(S.TIMEOUT), after(9)))

    assert entry == HistoryEntry("3f7e7681", "job.sh", S.TIMEOUT, "abci", after(9))


def test_an_unfinished_job_has_none() -> None:
    with pytest.raises(ValueError, match="has not ended"):
        HistoryEntry.of(new_job())


def test_an_unfinished_job_has_a_line_in_the_list() -> None:
    assert ActiveJob.of(new_job(S.READY), "waits") == ActiveJob("3f7e7681", "job.sh", S.READY, note="waits")
