"""List all unfinished jobs in one object for clients, then delete the queue entries of ended jobs."""

from __future__ import annotations

from attrs import define, evolve, field

from cloudq.application.agent.hold_lease import HoldLease
from cloudq.application.agent.holdings import Holdings
from cloudq.application.agent.recall_jobs import RecallJobs
from cloudq.domain.jobs.summary import ActiveJob, ActiveSummary
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobQueue
from cloudq.ports.system_registry import SystemRegistry

MANY_JOBS = 1000
SHORTEST_INTERVAL_S = 5.0
PROGRESS_INTERVAL_S = 15.0
"""The interval while only the numbers of ended tasks change: an array may take days."""
INTERVAL_OF_MANY_S = 60.0


@define
class PublishSummary:
    """Rewrite the summary when it changed, then delete queue entries that are no longer needed."""

    registry: SystemRegistry
    queue: JobQueue
    clock: Clock
    lease: HoldLease
    system: str
    holdings: Holdings
    recall_jobs: RecallJobs
    _published: ActiveSummary | None = field(default=None, init=False)
    _published_at: float = field(default=0.0, init=False)

    def __call__(self) -> None:
        """Publish the summary if due, then delete queue entries and requests that are no longer needed."""
        summary = ActiveSummary(self.lease.epoch, self._lines())
        if self._has_changed(summary):
            if not self._is_due(summary):
                return
            self._publish(summary)
        self._clean_up()

    def stopped(self) -> None:
        """Publish that the agent was stopped on purpose, and delete what is no longer needed."""
        self._publish(ActiveSummary(self.lease.epoch, self._lines(), stopped=True))
        self._clean_up()

    def _lines(self) -> tuple[ActiveJob, ...]:
        held = [ActiveJob.of(held_job.job, held_job.note) for held_job in self.holdings.held.values()]
        invited = [
            ActiveJob.of(invitation.stored.job, invitation.note)
            for invitation in self.holdings.invitations.values()
            if invitation.stored is not None
        ]
        lines = {line.job_id: line for line in (*self.recall_jobs.lines(), *held, *invited)}
        return tuple(sorted(lines.values(), key=lambda line: line.job_id))

    def _has_changed(self, summary: ActiveSummary) -> bool:
        before = self._published
        return before is None or (before.epoch, before.jobs) != (summary.epoch, summary.jobs)

    def _is_due(self, summary: ActiveSummary) -> bool:
        if self._published is None or self._published.epoch != summary.epoch:
            return True
        return self.clock.elapsed() - self._published_at >= self._interval_s(summary, self._published) * 0.9

    def _interval_s(self, summary: ActiveSummary, before: ActiveSummary) -> float:
        if self.holdings.requests.done_refreshes:
            return SHORTEST_INTERVAL_S
        if len(summary.jobs) > MANY_JOBS:
            return INTERVAL_OF_MANY_S
        is_mere_progress = _without_progress(summary) == _without_progress(before)
        return PROGRESS_INTERVAL_S if is_mere_progress else SHORTEST_INTERVAL_S

    def _publish(self, summary: ActiveSummary) -> None:
        self.registry.publish_summary(self.system, summary)
        self._published, self._published_at = summary, self.clock.elapsed()

    def _clean_up(self) -> None:
        """Delete what the published summary makes superfluous."""
        self.recall_jobs.drop_older()
        self._clear_queue()

    def _clear_queue(self) -> None:
        holdings = self.holdings
        if holdings.withdraw:
            self.queue.withdraw(self.system, sorted(holdings.withdraw))
            holdings.withdraw.clear()
        requests = holdings.requests
        if requests.some_are_done:
            self.queue.drop_requests(
                self.system,
                sorted(requests.done_cancels),
                sorted(requests.done_follows),
                sorted(requests.done_task_cancels),
                sorted(requests.done_refreshes),
            )
            requests.were_deleted()


def _without_progress(summary: ActiveSummary) -> list[ActiveJob]:
    return [evolve(job, progress="") for job in summary.jobs]
