"""Recall the jobs that only older epochs of the agent recorded (protocol 5.6)."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from cloudq.application.agent.hold_lease import HoldLease
from cloudq.application.agent.holdings import Holdings
from cloudq.application.agent.job_trouble import JobTrouble
from cloudq.application.agent.watch_queue import WatchQueue
from cloudq.application.shared.end_job import EndJob, load_or_none
from cloudq.application.shared.take_back_job import TakeBackJob
from cloudq.domain.errors import ClaimMissing, RecordRejected
from cloudq.domain.jobs.claim import Claim, ClaimKind, entry_number
from cloudq.domain.jobs.job import StoredJob
from cloudq.domain.jobs.summary import ActiveJob, ActiveSummary
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobQueue, JobRepository
from cloudq.ports.system_registry import SystemRegistry, SystemSign

MOST_A_CYCLE = 50
MOST_SUMMARIES = 20
"""The most summaries that an epoch reads; usually there is one. The rest is left to the next epoch."""
LOOK_AGAIN_AFTER_S = 300.0
"""The pause before another look: by that time, what was put again is listed, and errors may be over."""


@define
class RecallJobs:
    """Look at jobs that the last epoch recorded and that the listings of this one do not show.

    Between a job's claim and the making of its files, only the queue entry records it. If a rule of
    the bucket deletes the entry while no agent runs, only the summary is left.
    """

    watch_queue: WatchQueue
    registry: SystemRegistry
    jobs: JobRepository
    queue: JobQueue
    end_job: EndJob
    take_back: TakeBackJob
    clock: Clock
    lease: HoldLease
    holdings: Holdings
    trouble: JobTrouble
    system: str
    _left: dict[str, ActiveJob] | None = field(default=None, init=False)
    """The jobs of older epochs that this one has not found yet; None until their summaries are read."""
    _held_before: dict[str, ActiveJob] = field(factory=dict, init=False)
    """The jobs that this process held in its last epoch, which may have lapsed before it wrote a summary."""
    _looked_at: dict[str, float] = field(factory=dict, init=False)
    _to_drop: tuple[int, ...] = field(default=(), init=False)

    def begin_epoch(self) -> None:
        """Remember the jobs that are held now, and read the summaries of older epochs at the next call.

        Call this before the holdings of the last epoch are cleared.
        """
        held = (ActiveJob.of(held_job.job) for held_job in self.holdings.held.values())
        self._held_before = {line.job_id: line for line in (*self.lines(), *held)}
        self._left, self._to_drop = None, ()
        self._looked_at.clear()

    def __call__(self) -> None:
        """Settle every such job that is not in the queue; the next listing shows those that are ours."""
        if self._left is None:
            self._left = self._read()
        self._drop_known(self._left)
        if self.watch_queue.has_seen_all:
            for job_id in self._due(self._left):
                self._looked_at[job_id] = self.clock.elapsed()
                with self.trouble.of_claim(ClaimTag(job_id, 1)):
                    if self._is_settled(job_id):
                        del self._left[job_id]

    def lines(self) -> Iterable[ActiveJob]:
        """Return the jobs that the next summary must also list: older summaries are deleted after it."""
        return self._held_before.values() if self._left is None else self._left.values()

    def drop_older(self) -> None:
        """Delete the summaries that were read, after the present one, with all their jobs, was published."""
        if self._to_drop:
            self.registry.drop_summaries(self.system, self._to_drop)
            self._to_drop = ()

    def _read(self) -> dict[str, ActiveJob]:
        last = self.lease.epoch - 1  # read by its key: a listing may be old
        listed = self.registry.summary_epochs(self.system, below=self.lease.epoch)
        epochs = sorted({*listed, last} if last > 0 else listed)[-MOST_SUMMARIES:]
        summaries = [summary for epoch in epochs if (summary := self._summary(epoch)) is not None]
        self._to_drop = tuple(summary.epoch for summary in summaries)
        lines = {line.job_id: line for summary in summaries for line in summary.jobs}
        return lines | self._held_before

    def _summary(self, epoch: int) -> ActiveSummary | None:
        """Return the summary of *epoch*; None if there is none, or if it cannot be read and so stays."""
        sign = SystemSign(self.system, has_lease=True, heartbeat_age_s=0.0, summary_epoch=epoch)
        try:
            return self.registry.summary(sign)
        except RecordRejected as error:
            self.trouble.log.warning("an older summary cannot be read", error=str(error))
            return None

    def _drop_known(self, left: dict[str, ActiveJob]) -> None:
        """Drop jobs that are held, read or put away: this epoch's own summary lists them, or need not."""
        holdings = self.holdings
        read = (tag for tag, invitation in holdings.invitations.items() if invitation.stored is not None)
        for tag in (*holdings.held, *holdings.withdraw, *read):
            left.pop(tag.job_id, None)

    def _due(self, left: dict[str, ActiveJob]) -> list[str]:
        listed = {tag.job_id for tag in self.holdings.invitations}
        until = self.clock.elapsed() - LOOK_AGAIN_AFTER_S
        due = [
            job_id for job_id in left if job_id not in listed and self._looked_at.get(job_id, until) <= until
        ]
        return due[:MOST_A_CYCLE]

    # One job ---------------------------------------------------------------------------------

    def _is_settled(self, job_id: str) -> bool:
        """Return whether this system is done with the job; if not, make sure that its queue entry exists."""
        stored = load_or_none(self.jobs, job_id)
        if stored is None:
            return True
        if stored.job.is_final:
            self.end_job.confirm_final(stored.job)
            return True
        try:
            newest = self.jobs.newest_claim(job_id, stored.job.certain_claim)
        except ClaimMissing:
            if stored.job.run_system != self.system:
                raise
            self._invite(stored.job.tag)  # taking the job puts the claim again, or shows why it is gone
            return False
        return self._is_settled_by(stored, newest)

    def _is_settled_by(self, stored: StoredJob, newest: Claim | None) -> bool:
        job_id = stored.job.uuid
        if newest is not None and newest.kind is ClaimKind.CANCEL:
            self.end_job.finish_canceled(stored, newest)
            return True
        n = entry_number(newest, self.system, stored.job.invited)
        if n is not None and self.queue.holds_queue_entry(self.system, ClaimTag(job_id, n)):
            return False
        if newest is not None and newest.kind is ClaimKind.RELEASE:
            if n is not None or newest.system == self.system:
                self.take_back.finish(job_id, newest)
        elif n is not None:
            self._invite(ClaimTag(job_id, n))
        return n is None

    def _invite(self, tag: ClaimTag) -> None:
        self.queue.invite(self.system, tag)
        self.queue.ring(self.system)
