"""The history entry of a finished job, as ``cloudqcli history`` lists it."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState


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
