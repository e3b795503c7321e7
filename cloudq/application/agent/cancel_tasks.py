"""Carry out requests to cancel single tasks of array jobs."""

from __future__ import annotations

import math

from attrs import define

from cloudq.application.agent.cancel_held_jobs import CANCEL_AGAIN_AFTER_S
from cloudq.application.agent.held_job import Followed, HeldJob
from cloudq.application.agent.holdings import Holdings
from cloudq.application.agent.job_trouble import JobTrouble
from cloudq.application.agent.stop_claim import StopClaim
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import TaskRequest


@define
class CancelTasks:
    """Cancel single tasks in the scheduler; the other tasks continue.

    A request stays in the bucket until its task has ended, so the agent need not store it.
    """

    stop_claim: StopClaim
    clock: Clock
    holdings: Holdings
    trouble: JobTrouble

    def __call__(self) -> None:
        """Take the next step for every request."""
        for tag, tasks in self._requested().items():
            held = self.holdings.held.get(tag)
            if held is not None:
                with self.trouble.of(held):
                    self._go_on(held, tasks)
            elif tag not in self.holdings.invitations:
                self._drop(tag, tasks)

    def _requested(self) -> dict[ClaimTag, list[int]]:
        requested: dict[ClaimTag, list[int]] = {}
        requests = self.holdings.requests
        for request in sorted(requests.task_cancels - requests.done_task_cancels):
            requested.setdefault(request.tag, []).append(request.task)
        return requested

    def _go_on(self, held: HeldJob, tasks: list[int]) -> None:
        if not isinstance(held.phase, Followed) or held.cancel is not None:
            return
        canceled_at = held.phase.canceled_tasks
        unfinished = _unfinished(held)
        self._drop(held.tag, [task for task in tasks if task not in unfinished])
        now = self.clock.elapsed()
        due = [
            task
            for task in tasks
            if task in unfinished and now - canceled_at.get(task, -math.inf) >= CANCEL_AGAIN_AFTER_S
        ]
        if due:
            self.stop_claim.cancel_tasks(held.tag, held.scheduler_job_ids, due)
            canceled_at.update(dict.fromkeys(due, now))

    def _drop(self, tag: ClaimTag, tasks: list[int]) -> None:
        self.holdings.requests.done_task_cancels.update(TaskRequest(tag, task) for task in tasks)


def _unfinished(held: HeldJob) -> set[int]:
    """Return the tasks of the array whose final state is not in the record in the bucket."""
    job = held.stored.job
    if held.job.array_tid is None or job.is_final:
        return set()
    ended = {task for task, state in job.tasks.items() if state.state.is_final}
    return set(held.job.array_tid) - ended
