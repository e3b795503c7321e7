"""Make sure that no submission of a claim can start the script any more (protocol 4.7)."""

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
    """Blocks the locks of a claim's tasks and cancels what was submitted under its tag."""

    scheduler: BatchScheduler
    confirm: Callable[[], object]
    """Called before anything is blocked or canceled: raises `LeaseLost` in an agent that was succeeded."""

    def block(self, space: ClaimSpace, tasks: Iterable[int | None]) -> tuple[str, ...]:
        """Block all locks; return the local ids of those that had started before.

        None returned: the script has not started and never will under this claim.
        """
        self.confirm()
        holders = {space.block(task) for task in tasks}
        return tuple(sorted(holders - {BLOCKED}))

    def cancel_all(self, tag: ClaimTag, known: Iterable[str] = ()) -> tuple[str, ...]:
        """Cancel every local job found under *tag*, and those *known* that are; return their ids.

        A known id that is another's job by now is left alone. Raises `SchedulerUnavailable`.
        """
        found = self.scheduler.find(tag)
        others = tuple(local_id for local_id in dict.fromkeys(known) if local_id not in found)
        ids = (*self.shown_as(tag, others), *found)
        if ids:
            self.cancel(ids)
        return ids

    def cancel(self, local_ids: Sequence[str]) -> None:
        """Cancel jobs that are known to be one's own. Raises `SchedulerUnavailable`."""
        self.confirm()
        self.scheduler.cancel(local_ids)

    def cancel_tasks(self, tag: ClaimTag, known: tuple[str, ...], tasks: Sequence[int]) -> None:
        """Cancel single tasks of those of *known* that are still *tag*'s. Raises as above."""
        for local_id in self.shown_as(tag, known):
            self.confirm()
            self.scheduler.cancel_tasks(local_id, tasks)

    def some_live(self, tag: ClaimTag, local_ids: tuple[str, ...]) -> bool:
        """Whether the scheduler has one of *tag*'s jobs alive. Raises `SchedulerUnavailable`."""
        if not local_ids:
            return False
        return any(job.may_be_of(tag) and is_alive(job) for job in self.scheduler.poll(local_ids).values())

    def shown_as(self, tag: ClaimTag, known: tuple[str, ...]) -> tuple[str, ...]:
        """Those of *known* that are still *tag*'s: an id that was noted may be another's job by now."""
        shown = self.scheduler.poll(known) if known else {}
        return tuple(local_id for local_id in known if local_id in shown and shown[local_id].may_be_of(tag))


def is_alive(job: LocalJob) -> bool:
    """Whether any task of a local job has not ended, or may not have."""
    return bool(job.unanswered) or any(status.life is not Life.ENDED for status in job.tasks.values())
