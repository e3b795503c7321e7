"""History entries: how long a job waited and ran, and the totals of many."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloudq.domain.jobs.history import HistoryEntry, HistoryTotals
from cloudq.domain.jobs.job_state import JobState
from tests.builders import JOB_ID, NOON, at


def entry(state: JobState = JobState.DONE, **times: object) -> HistoryEntry:
    return HistoryEntry(JOB_ID, "run.sh", state, "alpha", at(100), **times)  # type: ignore[arg-type]


def test_job_waits_until_its_start_and_runs_until_its_end() -> None:
    job = entry(time_submit=NOON, time_start=at(30))

    assert (job.waited, job.ran) == (timedelta(seconds=30), timedelta(seconds=70))


def test_job_that_never_started_neither_waited_nor_ran() -> None:
    job = entry(time_submit=NOON)

    assert (job.waited, job.ran) == (None, None)


@pytest.mark.parametrize("start", [at(-5), at(500)])
def test_clocks_of_two_machines_give_no_negative_times(start: object) -> None:
    job = entry(time_submit=NOON, time_start=start)

    assert min(job.waited or timedelta(), job.ran or timedelta()) == timedelta()


def test_totals_count_jobs_by_state_and_add_up_their_running_times() -> None:
    first = [entry(time_start=at(40)), entry(JobState.ERROR, time_start=at(90))]
    totals = HistoryTotals().plus(first).plus([entry(), entry(JobState.DELETED)])

    assert totals.by_state == {JobState.DONE: 2, JobState.ERROR: 1, JobState.DELETED: 1}
    assert (totals.jobs, totals.ran) == (4, timedelta(seconds=70))
