"""The summary of an agent's unfinished jobs, so that a list costs one request per system."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState

MAX_INVITED = 32
"""The number of invited systems that a line names: a record may name a thousand."""


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
    labels: tuple[str, ...] = ()
    invited: tuple[str, ...] = ()
    """The systems that may take the job, while none has; at most `MAX_INVITED` of them."""
    jobid: str = ""
    """The scheduler job id."""
    time_ready: datetime | None = None
    time_start: datetime | None = None

    @classmethod
    def of(cls, job: Job, note: str = "") -> ActiveJob:
        """Return the line for *job*."""
        return cls(
            job_id=job.uuid,
            name=job.name,
            state=job.state,
            run_system=job.run_system,
            time_submit=job.time_submit,
            note=note,
            progress=job.tasks.progress if job.tasks.groups else "",
            labels=job.labels,
            invited=() if job.run_system else job.invited[:MAX_INVITED],
            jobid=job.jobid,
            time_ready=job.time_ready,
            time_start=job.time_start,
        )


@frozen
class ActiveSummary:
    """All unfinished jobs of a system; ``stopped`` is True once its agent ended on purpose."""

    epoch: int
    jobs: tuple[ActiveJob, ...] = ()
    stopped: bool = False
    format: str = "1.0"
