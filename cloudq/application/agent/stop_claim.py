"""Make sure that no submission of a claim can still start the script (protocol 4.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import frozen

from cloudq.domain.jobs.job_shell import BLOCKED
from cloudq.domain.jobs.outcome import Life
from cloudq.domain.names import ClaimTag
from cloudq.ports.batch_scheduler import BatchScheduler, LocalJob
from cloudq.ports.workspace import ClaimSpace


@frozen
class StopClaim:
    """Block the locks of a claim's tasks, and cancel the scheduler jobs under its tag."""

    scheduler: BatchScheduler
    confirm: Callable[[], object]
    """Called before anything is blocked or canceled; raises `LeaseLost` in an agent that has a successor."""

    def block(self, space: ClaimSpace, tasks: Iterable[int | None]) -> tuple[str, ...]:
        """Block all locks; return the ids of the scheduler jobs that had started before.

        If there are none, the script has not started and never will under this claim.
        """
        self.confirm()
        holders = {space.block(task) for task in tasks}
        return tuple(sorted(holders - {BLOCKED}))

    def cancel_all(self, tag: ClaimTag, known: Iterable[str] = ()) -> tuple[str, ...]:
        """Cancel every scheduler job under *tag*, found or *known*; return their ids.

        A known id that now belongs to another job is left alone. Raises `SchedulerUnavailable`.
        """
        tagged_ids = self.scheduler.find(tag)
        others = tuple(
            scheduler_job_id
            for scheduler_job_id in dict.fromkeys(known)
            if scheduler_job_id not in tagged_ids
        )
        ids = (*self.shown_as(tag, others), *tagged_ids)
        if ids:
            self.cancel(ids)
        return ids

    def cancel(self, scheduler_job_ids: Sequence[str]) -> None:
        """Cancel scheduler jobs that certainly belong to the claim. Raises `SchedulerUnavailable`."""
        self.confirm()
        self.scheduler.cancel(scheduler_job_ids)

    def cancel_tasks(self, tag: ClaimTag, known: tuple[str, ...], tasks: Sequence[int]) -> None:
        """Cancel *tasks* of the *known* jobs that still belong to *tag*. Raises `SchedulerUnavailable`."""
        for scheduler_job_id in self.shown_as(tag, known):
            self.confirm()
            self.scheduler.cancel_tasks(scheduler_job_id, tasks)

    def some_live(self, tag: ClaimTag, scheduler_job_ids: tuple[str, ...]) -> bool:
        """Return whether the scheduler shows a job of *tag* alive. Raises `SchedulerUnavailable`."""
        if not scheduler_job_ids:
            return False
        return any(
            job.may_be_of(tag) and is_alive(job) for job in self.scheduler.poll(scheduler_job_ids).values()
        )

    def shown_as(self, tag: ClaimTag, known: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of *known* that still belong to *tag*: a noted id may now be that of another job."""
        shown = self.scheduler.poll(known) if known else {}
        return tuple(
            scheduler_job_id
            for scheduler_job_id in known
            if scheduler_job_id in shown and shown[scheduler_job_id].may_be_of(tag)
        )


def is_alive(job: LocalJob) -> bool:
    """Return whether any task of a scheduler job has not ended, or may not have ended."""
    return bool(job.unanswered) or any(status.life is not Life.ENDED for status in job.tasks.values())
