"""Make sure that no submission of a claim can start the script any more (protocol 4.7)."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from cloudq.domain.job_shell import BLOCKED
from cloudq.domain.names import ClaimTag
from cloudq.domain.outcome import Life
from cloudq.ports.batch_scheduler import BatchScheduler, LocalJob
from cloudq.ports.workspace import ClaimSpace


@frozen
class StopClaim:
    """Blocks the locks of a claim's tasks and cancels what was submitted under its tag."""

    scheduler: BatchScheduler

    def block(self, space: ClaimSpace, tasks: Iterable[int | None]) -> tuple[str, ...]:
        """Block all locks; return the local ids of those that had started before.

        None returned: the script has not started and never will under this claim.
        """
        holders = {space.block(task) for task in tasks}
        return tuple(sorted(holders - {BLOCKED}))

    def cancel_all(self, tag: ClaimTag, known: Iterable[str] = ()) -> tuple[str, ...]:
        """Cancel every local job found under *tag* and the *known* ones; return their ids.

        A known id that is another's job by now is left alone. Raises `SchedulerUnavailable`.
        """
        asked = tuple(known)
        shown = self.scheduler.poll(asked) if asked else {}
        own = [local_id for local_id, job in shown.items() if is_of(tag, job)]
        ids = tuple(dict.fromkeys((*own, *self.scheduler.find(tag))))
        if ids:
            self.scheduler.cancel(ids)
        return ids

    def some_live(self, local_ids: tuple[str, ...]) -> bool:
        """Whether the scheduler still has one of these jobs alive. Raises `SchedulerUnavailable`."""
        return any(is_alive(job) for job in self.scheduler.poll(local_ids).values()) if local_ids else False


def is_of(tag: ClaimTag, job: LocalJob) -> bool:
    """Whether a local job may be *tag*'s: ids begin anew when a scheduler is reset."""
    return job.tag is None or job.tag == tag


def is_alive(job: LocalJob) -> bool:
    """Whether any task of a local job has not ended."""
    return any(status.life is not Life.ENDED for status in job.tasks.values())
