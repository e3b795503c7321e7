"""The history entry of a finished job, as ``cloudqcli history`` lists it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from attrs import field, frozen

from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState


def time_between(begin: datetime | None, end: datetime | None) -> timedelta | None:
    """Return the time from *begin* to *end*, which is zero if it seems negative; None if one is missing.

    Two times of a job may come from the clocks of different machines.
    """
    return None if begin is None or end is None else max(end - begin, timedelta())


@frozen
class HistoryEntry:
    """One finished job; times are UTC, to the millisecond; ``name`` may be truncated."""

    job_id: str
    name: str
    state: JobState
    system: str
    time_finish: datetime
    time_submit: datetime | None = None
    time_start: datetime | None = None
    time_ready: datetime | None = None
    """When the scheduler got the job, so that its waiting time there is known."""
    exit_code: int | None = None
    labels: tuple[str, ...] = ()

    @property
    def waited(self) -> timedelta | None:
        """Return how long the job waited from its submission to its start; None if it never started."""
        return time_between(self.time_submit, self.time_start)

    @property
    def ran(self) -> timedelta | None:
        """Return how long the job ran, from its start to its end; None if it never started."""
        return time_between(self.time_start, self.time_finish)

    @classmethod
    def of(cls, job: Job) -> HistoryEntry:
        """Return the entry of a job that has ended."""
        if job.time_finish is None:
            raise ValueError(f"job {job.uuid} has not ended")
        return cls(
            job_id=job.uuid,
            name=job.name,
            state=job.state,
            system=job.run_system,
            time_finish=job.time_finish,
            time_submit=job.time_submit,
            time_start=job.time_start,
            time_ready=job.time_ready,
            exit_code=job.exit_code,
            labels=job.labels,
        )


def _no_jobs() -> Mapping[JobState, int]:
    return MappingProxyType({})


@frozen
class HistoryTotals:
    """How many finished jobs there are, by state, and how long they ran in total."""

    by_state: Mapping[JobState, int] = field(factory=_no_jobs)
    ran: timedelta = timedelta()

    @property
    def jobs(self) -> int:
        """Return the number of jobs."""
        return sum(self.by_state.values())

    def plus(self, entries: Iterable[HistoryEntry]) -> HistoryTotals:
        """Return the totals of these jobs and of *entries*."""
        counts, ran = Counter(self.by_state), self.ran
        for entry in entries:
            counts[entry.state] += 1
            ran += entry.ran or timedelta()
        return HistoryTotals(MappingProxyType(counts), ran)
