"""What an agent tells about its unfinished jobs, so that a list costs one request a system."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState


@frozen
class ActiveJob:
    """An unfinished job in one line; ``note`` says why it waits or was declined."""

    job_id: str
    name: str
    state: JobState
    run_system: str = ""
    time_submit: datetime | None = None
    note: str = ""

    @classmethod
    def of(cls, job: Job, note: str = "") -> ActiveJob:
        """The line of *job*."""
        return cls(job.uuid, job.name, job.state, job.run_system, job.time_submit, note)


@frozen
class ActiveSummary:
    """All unfinished jobs a system knows of; ``stopped`` once its agent ended on purpose."""

    epoch: int
    jobs: tuple[ActiveJob, ...] = ()
    stopped: bool = False
    format: str = "1.0"
