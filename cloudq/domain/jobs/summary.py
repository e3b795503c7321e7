"""The summary of an agent's unfinished jobs, so that a list costs one request per system."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState


@frozen
class ActiveJob:
    """An unfinished job in one line; ``note`` states why it waits or was declined."""

    job_id: str
    name: str
    state: JobState
    run_system: str = ""
    time_submit: datetime | None = None
    note: str = ""
    progress: str = ""
    """Of an array in a scheduler's hands: the tasks that have ended, as in `TaskStates.progress`."""

    @classmethod
    def of(cls, job: Job, note: str = "") -> ActiveJob:
        """Return the line for *job*."""
        progress = job.tasks.progress if job.tasks.groups else ""
        return cls(job.uuid, job.name, job.state, job.run_system, job.time_submit, note, progress)


@frozen
class ActiveSummary:
    """All unfinished jobs of a system; ``stopped`` is True once its agent ended on purpose."""

    epoch: int
    jobs: tuple[ActiveJob, ...] = ()
    stopped: bool = False
    format: str = "1.0"
