"""What one process knows of its Grid Engine jobs, from one answer to the next.

A job that is not listed any more is a question for accounting, which is slow and written late: it
is asked after a while, once a job, further apart each time it knew nothing.
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
    Life.ENDED, JobState.DELETED, reason="deleted before it started: accounting knows no run", never_ran=True
)
_UNKNOWN_LIFE = SchedulerStatus(Life.QUEUED)
_AGAIN_AFTER = (1.0, 3.0, 12.0, 60.0)
"""How far apart accounting is asked of one job, in times of the first wait."""
_ASKED_OFTEN = 3


@define
class KnownJob:
    """One local job."""

    tag: ClaimTag | None = None
    was_met: bool = False
    """Whether the scheduler gave the id, or listed it, while this process looked."""
    is_listed: bool = False
    """In the last answer."""
    was_missed: bool = False
    """In an answer since it was listed, or submitted."""
    tasks: dict[int | None, SchedulerStatus] = field(factory=dict)
    """What the last answers that showed them said, of every task that may be."""
    ends: dict[int | None, SchedulerStatus] = field(factory=dict)
    """What accounting told, for good."""
    ask_at: float = 0.0
    asked: int = 0
    work_dir: str = ""
    """Where it starts; empty if that was not asked."""

    def show(self, statuses: Mapping[int | None, SchedulerStatus]) -> LocalJob:
        """Take over that it is listed, with these tasks and no others."""
        self.is_listed, self.was_missed, self.was_met, self.asked = True, False, True, 0
        self.tasks.update(statuses)
        self.ends.clear()
        return LocalJob(dict(statuses), self.tag)

    def miss(self, now: float, first_wait_s: float) -> None:
        """Take over that it is not listed."""
        self.was_missed = True
        if self.is_listed:
            self.is_listed, self.ask_at = False, now + first_wait_s

    def is_due(self, now: float) -> bool:
        """Whether accounting should be asked for it."""
        return not self.is_listed and not self.is_over and now >= self.ask_at

    def note_asked(self, now: float, first_wait_s: float) -> None:
        """The next time is further off."""
        self.asked = min(self.asked + 1, len(_AGAIN_AFTER) - 1)
        self.ask_at = now + first_wait_s * _AGAIN_AFTER[self.asked]

    def account(self, accounts: Mapping[int | None, Account]) -> None:
        """Take over what accounting knows of a job that is not listed."""
        for task, account in accounts.items():
            end = status_from(account)
            if end is not None:
                self.ends[task] = end
        if not self.was_met:
            return
        for task in self.tasks.keys() - accounts.keys():
            if self.tasks[task].life is Life.QUEUED:  # what was seen to run has lost its account
                self.ends.setdefault(task, NEVER_RAN)

    @property
    def is_over(self) -> bool:
        """Whether all that will ever be known of it is."""
        told = {task for task, end in self.ends.items() if not end.never_ran}
        if self.was_met:
            return bool(told) and len(told) >= len(self.tasks)
        return None in told or (bool(told) and self.asked >= _ASKED_OFTEN)  # who knows how many tasks it has

    @property
    def is_stuck(self) -> bool:
        """Whether a task of it stays in an error state until somebody deletes it."""
        return self.is_listed and any(
            status.verdict is IN_ERROR.verdict and status.life is Life.ENDED for status in self.tasks.values()
        )

    def gone(self) -> LocalJob | None:
        """What is known of it now that it is not listed; None: nothing."""
        return LocalJob(dict(self.ends), self.tag) if self.ends else None


@frozen
class KnownJobs:
    """All of them, by local id."""

    _jobs: dict[str, KnownJob] = field(factory=dict)

    def get(self, local_id: str) -> KnownJob | None:
        """The job, if this process has heard of it."""
        return self._jobs.get(local_id)

    def met(self, local_id: str, tag: ClaimTag | None, tasks: Iterable[int | None], ask_at: float) -> None:
        """Qsub told its id: it is in the queue, or was."""
        if local_id not in self._jobs:
            expected = dict.fromkeys(tasks, _UNKNOWN_LIFE)
            self._jobs[local_id] = KnownJob(tag, was_met=True, tasks=expected, ask_at=ask_at)

    def submitted(self, local_id: str, tag: ClaimTag, tasks: Iterable[int | None], ask_at: float) -> None:
        """It is new, whatever had its id before."""
        self._jobs.pop(local_id, None)
        self.met(local_id, tag, tasks, ask_at)

    def unidentified(self, listed: Iterable[str]) -> list[str]:
        """Which listed jobs are not known, or may be others that were given the same id."""
        return [local_id for local_id in listed if not _is_the_same(self._jobs.get(local_id))]

    def identify(self, local_id: str, tag: ClaimTag | None, work_dir: str = "") -> None:
        """Note whose it is, and where it starts."""
        job = self._jobs.get(local_id)
        if job is None or job.tag != tag:
            tasks = job.tasks if job is not None and job.tag is None else {}
            job = self._jobs[local_id] = KnownJob(tag, tasks=tasks)
        job.work_dir = work_dir

    def take_over(self, listed: Iterable[str], now: float, first_wait_s: float) -> None:
        """Note which are listed and which no more; drop those that nobody ever asked for."""
        present = set(listed)
        for local_id, job in list(self._jobs.items()):
            if local_id in present:
                job.is_listed, job.was_missed, job.was_met = True, False, True
            elif job.is_listed and job.tag is None and not job.tasks:
                self._jobs.pop(local_id, None)
            else:
                job.miss(now, first_wait_s)

    def of(self, local_id: str) -> KnownJob:
        """The job, from now on known."""
        return self._jobs.setdefault(local_id, KnownJob())

    def under(self, tag: ClaimTag) -> Iterator[str]:
        """The ids of all that are *tag*'s."""
        return (local_id for local_id, job in self._jobs.items() if job.tag == tag)

    def stuck(self, tag: ClaimTag, local_ids: Iterable[str]) -> list[str]:
        """Those of *tag* that stay in the queue though they are over."""
        known = ((local_id, self.get(local_id)) for local_id in local_ids)
        return [local_id for local_id, job in known if job and job.tag == tag and job.is_stuck]

    def forget(self, tag: ClaimTag, local_ids: Iterable[str]) -> None:
        """Drop those that are over and no other claim's."""
        for local_id in local_ids:
            job = self._jobs.get(local_id)
            if job is not None and job.tag in {None, tag} and not job.is_listed:
                del self._jobs[local_id]


def _is_the_same(job: KnownJob | None) -> bool:
    """Whether a listed job must be the one that is known: nobody had time to take its id."""
    return job is not None and (job.is_listed or (job.tag is not None and not job.was_missed))
