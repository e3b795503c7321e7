"""Decide by claims whether a job is still ours, and put again what the bucket lost (protocol 5.6)."""

from __future__ import annotations

from collections import deque

from attrs import define, field

from cloudq.application.agent.held_job import HeldJob
from cloudq.application.agent.hold_lease import HoldLease
from cloudq.application.agent.job_trouble import AgentLog
from cloudq.application.agent.stop_claim import StopClaim
from cloudq.application.shared.end_job import load_or_none
from cloudq.domain.errors import ClaimMissing, StoreProblem
from cloudq.domain.jobs.claim import Claim, ClaimKind
from cloudq.domain.jobs.job import Job, StoredJob
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import Clock, IdSource
from cloudq.ports.job_repository import JobFiles, JobQueue, JobRepository
from cloudq.ports.workspace import Workspace

REPORT_FOR_S = 3600.0
MOST_REPORTED = 20


@define
class KeepHold:
    """Distinguish jobs that were ended, taken back or deleted from jobs that the bucket has lost.

    A process that ends or takes a held job makes a claim, or leaves a cancel request in the
    holder's queue before the claims are deleted. If there is neither, no process decided anything:
    the bucket was restored from a backup, or a rule of its owner let objects expire.
    """

    jobs: JobRepository
    queue: JobQueue
    files: JobFiles
    workspace: Workspace
    stop_claim: StopClaim
    clock: Clock
    ids: IdSource
    lease: HoldLease
    log: AgentLog
    _losses: deque[tuple[float, str]] = field(factory=lambda: deque(maxlen=MOST_REPORTED), init=False)

    def __call__(self) -> None:
        """Raise `StoreProblem` for `REPORT_FOR_S` after each loss, so that the heartbeat shows it."""
        now = self.clock.elapsed()
        while self._losses and now - self._losses[0][0] >= REPORT_FOR_S:
            self._losses.popleft()
        if self._losses:
            raise StoreProblem(
                f"{len(self._losses)} objects of unfinished jobs were missing from the store and were "
                f"written again, the last: {self._losses[-1][1]}. Was the bucket restored from a backup, or "
                "does a rule let its objects expire?"
            )

    def is_replaced(self, held: HeldJob, stored: StoredJob | None = None) -> bool:
        """Return whether another claim took or ended the job; put our own claim again if it vanished.

        Also return True if the job was deleted before our claim was made; *stored*, the present record,
        is then None. Raises `ClaimMissing` if *stored* names a newer claim that is absent.
        """
        if stored is None and held.is_newly_claimed and not self.files.holds_script(held.job):
            return True
        try:
            newest = self.jobs.newest_claim(held.tag.job_id, held.tag.n)
        except ClaimMissing:
            newest = self._put_claim(held.tag, held.job, held.claim_nonce)
            held.job = _remarked(held.job, "its claim")
        if not self._is_ours(newest, held.tag):
            return True
        if stored is not None and stored.job.certain_claim > held.tag.n:
            raise ClaimMissing(held.tag.job_id, stored.job.certain_claim)
        return False

    def newest_claim(self, tag: ClaimTag, job: Job) -> Claim | None:
        """Return the newest claim on *job*, which this system held by *tag*.

        If that claim has vanished, it is put again, unless the job was canceled before: the result is
        then None.
        """
        try:
            return self.jobs.newest_claim(tag.job_id, tag.n)
        except ClaimMissing:
            return self._put_claim(tag, job)

    def put_record(self, tag: ClaimTag, job: Job) -> StoredJob:
        """Put the record of *job*, held by *tag*, again. Raises `RecordChanged` if a record exists."""
        stored = self.jobs.put_again(_remarked(job, "its record"))
        self._report_loss(tag, f"the record of job ({tag.job_id})")
        return stored

    def recover(self, tag: ClaimTag) -> bool:
        """Put again what the bucket lost of a job whose files are in this home; return whether it is ours.

        If the record is gone, the copy kept since the hand-over takes its place, but only with a sign
        that the job was not deleted: the agent of another home may have ended it first.
        """
        space = self.workspace.space(tag)
        if space.owner() is None:  # costs no request: a queue may be full of entries of absent jobs
            return False
        stored = load_or_none(self.jobs, tag.job_id)
        if stored is None and not self._was_certainly_not_deleted(tag):
            return False
        job = stored.job if stored is not None else space.kept_job()
        if job is None or job.is_final or job.claim not in {0, tag.n} or space.is_staged_out():
            return False
        if not self._is_ours(self.newest_claim(tag, job), tag):
            return False
        if stored is None:
            self.put_record(tag, job)
        return True

    def _was_certainly_not_deleted(self, tag: ClaimTag) -> bool:
        """Return whether the job still runs, or has its queue entry, which rules out a deletion."""
        if self.queue.holds_queue_entry(self.lease.identity.system, tag):
            return True
        return self.stop_claim.some_live(tag, self.stop_claim.scheduler.find(tag))

    def _put_claim(self, tag: ClaimTag, job: Job, nonce: str = "") -> Claim | None:
        newer = self.jobs.claim(ClaimTag(tag.job_id, tag.n + 1))
        if newer is not None:
            return newer
        if self.queue.is_cancel_requested(self.lease.identity.system, tag):
            return None
        standing = self.jobs.create_claim(tag.job_id, self._claim(tag, job, nonce)).claim
        self._report_loss(tag, f"claim {tag.n} of job ({tag.job_id})")
        return standing

    def _is_ours(self, newest: Claim | None, tag: ClaimTag) -> bool:
        return newest is not None and newest.n == tag.n and newest.is_run_by(self.lease.identity.system)

    def _claim(self, tag: ClaimTag, job: Job, nonce: str) -> Claim:
        return Claim(
            n=tag.n,
            kind=ClaimKind.RUN,
            nonce=nonce or self._noted_nonce(tag) or self.ids.nonce(),
            time=self.clock.now(),
            system=self.lease.identity.system,
            epoch=self.lease.epoch,
            home=job.home or self.workspace.home,
            reason=job.placement,
        )

    def _noted_nonce(self, tag: ClaimTag) -> str:
        owner = self.workspace.space(tag).owner()
        return owner.nonce if owner is not None else ""

    def _report_loss(self, tag: ClaimTag, what: str) -> None:
        self._losses.append((self.clock.elapsed(), what))
        self.log.warning("the store has lost something, it was put again", job=str(tag), lost=what)


def _remarked(job: Job, lost: str) -> Job:
    return job.with_remark(f"{lost} was missing from the store and was written again") if job.changes else job
