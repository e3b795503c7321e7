"""The knowledge of one process about its Grid Engine jobs, kept between answers.

A job that is no longer listed is looked up in accounting, which is slow and written late. So the first
query waits a while, each query is for one job, and the intervals grow as long as accounting does not know
the job.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import define, field, frozen

from cloudq.adapters.schedulers.grid_engine.parse import Account
from cloudq.adapters.schedulers.grid_engine.states import IN_ERROR, status_from
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.names import ClaimTag
from cloudq.ports.batch_scheduler import LocalJob

NEVER_RAN = SchedulerStatus(
    Life.ENDED,
    JobState.DELETED,
    reason="deleted before it started: accounting has no record of a run",
    never_ran=True,
)
_UNKNOWN_LIFE = SchedulerStatus(Life.QUEUED)
_AGAIN_AFTER = (1.0, 3.0, 12.0, 60.0)
"""The intervals between accounting queries for one job, as multiples of the first wait."""
_ASKED_OFTEN = 3


@define
class KnownJob:
    """One scheduler job."""

    tag: ClaimTag | None = None
    was_met: bool = False
    """Whether the scheduler gave this process the id, or listed the job in an answer to it."""
    is_listed: bool = False
    """Whether the last answer listed the job."""
    was_missed: bool = False
    """Whether an answer did not list the job since it was last listed or submitted."""
    tasks: dict[int | None, SchedulerStatus] = field(factory=dict)
    """The last known status of every task that may exist."""
    ends: dict[int | None, SchedulerStatus] = field(factory=dict)
    """The final states that accounting reported."""
    ask_at: float = 0.0
    asked: int = 0
    work_dir: str = ""
    """The directory where the job starts; empty if it was not asked for."""

    def show(self, statuses: Mapping[int | None, SchedulerStatus]) -> LocalJob:
        """Record that the job is listed, with these tasks and no others."""
        self.is_listed, self.was_missed, self.was_met, self.asked = True, False, True, 0
        self.tasks.update(statuses)
        self.ends.clear()
        return LocalJob(dict(statuses), self.tag)

    def miss(self, now: float, first_wait_s: float) -> None:
        """Record that the job is not listed."""
        self.was_missed = True
        if self.is_listed:
            self.is_listed, self.ask_at = False, now + first_wait_s

    def is_due(self, now: float) -> bool:
        """Return whether accounting should be asked about the job."""
        return not self.is_listed and not self.is_over and now >= self.ask_at

    def note_asked(self, now: float, first_wait_s: float) -> None:
        """Record a query; the wait for the next one is longer."""
        self.asked = min(self.asked + 1, len(_AGAIN_AFTER) - 1)
        self.ask_at = now + first_wait_s * _AGAIN_AFTER[self.asked]

    def account(self, accounts: Mapping[int | None, Account]) -> None:
        """Record what accounting reported about a job that is not listed."""
        for task, account in accounts.items():
            end = status_from(account)
            if end is not None:
                self.ends[task] = end
        if not self.was_met:
            return
        for task in self.tasks.keys() - accounts.keys():
            if self.tasks[task].life is Life.QUEUED:  # a task that was seen running has only lost its account
                self.ends.setdefault(task, NEVER_RAN)

    @property
    def is_over(self) -> bool:
        """Return whether everything that can become known about the job is known."""
        ended = {task for task, end in self.ends.items() if not end.never_ran}
        if self.was_met:
            return bool(ended) and len(ended) >= len(self.tasks)
        return None in ended or (bool(ended) and self.asked >= _ASKED_OFTEN)  # it may have more tasks

    @property
    def is_stuck(self) -> bool:
        """Return whether a task is in an error state, where it stays until it is deleted."""
        return self.is_listed and any(
            status.verdict is IN_ERROR.verdict and status.life is Life.ENDED for status in self.tasks.values()
        )

    def gone(self) -> LocalJob | None:
        """Return what is known about the job now that it is not listed; None: nothing."""
        return LocalJob(dict(self.ends), self.tag) if self.ends else None


@frozen
class KnownJobs:
    """All known jobs, by scheduler job id."""

    _jobs: dict[str, KnownJob] = field(factory=dict)

    def get(self, scheduler_job_id: str) -> KnownJob | None:
        """Return the job; None if this process does not know it."""
        return self._jobs.get(scheduler_job_id)

    def met(
        self, scheduler_job_id: str, tag: ClaimTag | None, tasks: Iterable[int | None], ask_at: float
    ) -> None:
        """Record an id that qsub printed: the job is in the queue, or was."""
        if scheduler_job_id not in self._jobs:
            expected = dict.fromkeys(tasks, _UNKNOWN_LIFE)
            self._jobs[scheduler_job_id] = KnownJob(tag, was_met=True, tasks=expected, ask_at=ask_at)

    def submitted(
        self, scheduler_job_id: str, tag: ClaimTag, tasks: Iterable[int | None], ask_at: float
    ) -> None:
        """Record a new job, and drop any earlier one with the same id."""
        self._jobs.pop(scheduler_job_id, None)
        self.met(scheduler_job_id, tag, tasks, ask_at)

    def unidentified(self, listed: Iterable[str]) -> list[str]:
        """Return the listed jobs that are unknown, or that may be other jobs with the same id."""
        return [
            scheduler_job_id
            for scheduler_job_id in listed
            if not _is_the_same(self._jobs.get(scheduler_job_id))
        ]

    def identify(self, scheduler_job_id: str, tag: ClaimTag | None, work_dir: str = "") -> None:
        """Record the claim of a job, and the directory where it starts."""
        job = self._jobs.get(scheduler_job_id)
        if job is None or job.tag != tag:
            tasks = job.tasks if job is not None and job.tag is None else {}
            job = self._jobs[scheduler_job_id] = KnownJob(tag, tasks=tasks)
        job.work_dir = work_dir

    def take_over(self, listed: Iterable[str], now: float, first_wait_s: float) -> None:
        """Record which jobs are listed and which no longer are; drop those that were never asked for."""
        present = set(listed)
        for scheduler_job_id, job in list(self._jobs.items()):
            if scheduler_job_id in present:
                job.is_listed, job.was_missed, job.was_met = True, False, True
            elif job.is_listed and job.tag is None and not job.tasks:
                self._jobs.pop(scheduler_job_id, None)
            else:
                job.miss(now, first_wait_s)

    def of(self, scheduler_job_id: str) -> KnownJob:
        """Return the job, after adding it if it is unknown."""
        return self._jobs.setdefault(scheduler_job_id, KnownJob())

    def under(self, tag: ClaimTag) -> Iterator[str]:
        """Yield the ids of all jobs of *tag*."""
        return (scheduler_job_id for scheduler_job_id, job in self._jobs.items() if job.tag == tag)

    def stuck(self, tag: ClaimTag, scheduler_job_ids: Iterable[str]) -> list[str]:
        """Return the jobs of *tag* that stay in the queue although they have ended."""
        jobs = ((scheduler_job_id, self.get(scheduler_job_id)) for scheduler_job_id in scheduler_job_ids)
        return [scheduler_job_id for scheduler_job_id, job in jobs if job and job.tag == tag and job.is_stuck]

    def forget(self, tag: ClaimTag, scheduler_job_ids: Iterable[str]) -> None:
        """Drop the jobs that are no longer listed and belong to no other claim."""
        for scheduler_job_id in scheduler_job_ids:
            job = self._jobs.get(scheduler_job_id)
            if job is not None and job.tag in {None, tag} and not job.is_listed:
                del self._jobs[scheduler_job_id]


def _is_the_same(job: KnownJob | None) -> bool:
    """Return whether a listed job must be the known one, because its id cannot have been reused yet."""
    return job is not None and (job.is_listed or (job.tag is not None and not job.was_missed))
