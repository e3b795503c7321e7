"""Take a job back from a system that no longer acts, and offer it again (protocol 3.5)."""

from __future__ import annotations

from attrs import frozen

from cloudq.application.end_job import EndJob, load_or_none
from cloudq.domain.claim import Claim, ClaimKind
from cloudq.domain.errors import JobStateConflict, RecordChanged
from cloudq.domain.job import StoredJob
from cloudq.domain.lease import is_stale_by_store_clock
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import Clock, IdSource
from cloudq.ports.job_repository import JobQueue, JobRepository
from cloudq.ports.system_registry import SeenLease, SystemRegistry

DEAD_AFTER_TIMES_TO_LIVE = 10.0


@frozen
class Holder:
    """Who holds a job: the claim, and the last beat of that system's agent if there is one."""

    claim: Claim
    last_beat: SeenLease | None

    @property
    def is_presumed_gone(self) -> bool:
        """Whether the agent has been silent for ten times its time to live."""
        beat = self.last_beat
        return beat is None or is_stale_by_store_clock(beat.lease, beat.age_s, times=DEAD_AFTER_TIMES_TO_LIVE)


@frozen
class TakeBackJob:
    """Never automatic: a person decides, having seen who holds the job."""

    jobs: JobRepository
    queue: JobQueue
    registry: SystemRegistry
    end_job: EndJob
    clock: Clock
    ids: IdSource
    client: str

    def holder(self, job_id: str) -> Holder | None:
        """Who holds the job; None while nobody does. Raises `JobNotFound`."""
        if self.jobs.load(job_id).job.is_final:
            return None
        newest = self.jobs.newest_claim(job_id)
        if newest is None or newest.kind is not ClaimKind.RUN:
            return None
        epoch = self.registry.newest_epoch(newest.system)
        return Holder(newest, self.registry.lease(newest.system, epoch) if epoch else None)

    def __call__(self, job_id: str, systems: tuple[str, ...], expected_claim: int, *, force: bool) -> None:
        """Take claim *expected_claim* back and invite *systems*; repeatable after a crash.

        Raises `JobStateConflict` if the job ended, another claim is the newest by now, or its
        holder has beaten lately and *force* is not given: it might run twice.
        """
        newest = self.jobs.newest_claim(job_id)
        if newest is not None and newest.kind is ClaimKind.RELEASE and newest.n == expected_claim + 1:
            self._finish_or_raise(job_id, newest)
            return
        holder = self.holder(job_id)
        if holder is None or holder.claim.n != expected_claim:
            raise JobStateConflict(
                f"Job ({job_id}) is over, or not held by claim {expected_claim} (any more)."
            )
        if not (holder.is_presumed_gone or force):
            raise JobStateConflict(
                f"The agent of {holder.claim.system} reported lately: job ({job_id}) may still run there."
            )
        release = Claim(
            n=expected_claim + 1,
            kind=ClaimKind.RELEASE,
            nonce=self.ids.nonce(),
            time=self.clock.now(),
            system=holder.claim.system,
            systems=systems,
            by=self.client,
        )
        standing = self.jobs.create_claim(job_id, release)
        if standing.claim.kind is not ClaimKind.RELEASE:
            raise JobStateConflict(f"Job ({job_id}) was {standing.claim.kind.value}ed by somebody else.")
        self._finish_or_raise(job_id, standing.claim)

    def _finish_or_raise(self, job_id: str, release: Claim) -> None:
        if not self.finish(job_id, release):
            raise JobStateConflict(f"Job ({job_id}) ended, or went on, before it could be taken back.")

    def finish(self, job_id: str, release: Claim) -> bool:
        """Finish what a ``release`` claim began; whether there was anything to finish."""
        stored = self._back_to_init(job_id, release)
        if stored is None:
            return False
        held = ClaimTag(job_id, release.n - 1)
        offered = ClaimTag(job_id, release.n + 1)
        self.queue.request_cancel(release.system, held)
        for system in release.systems:
            self.queue.invite(system, offered)
        for system in dict.fromkeys((*release.systems, release.system)):
            self.queue.ring(system)
        self.queue.withdraw(release.system, [held])
        return True

    def _back_to_init(self, job_id: str, release: Claim) -> StoredJob | None:
        """The record back at the start, or None if the job ended or went on without us."""
        while True:
            stored = load_or_none(self.jobs, job_id)
            if stored is None:
                return None
            if stored.job.is_final:
                self.end_job.confirm_final(stored.job)
                self.end_job.withdraw(stored.job, release.n - 1, [release.system])
                return None
            newest = self.jobs.newest_claim(job_id)
            if newest is None or newest.n != release.n:
                return None
            back = stored.job.taken_back(
                self.clock.now(), release.systems, f"taken back from {release.system} by {release.by}"
            )
            # Rewritten even if it says so already: what the old holder read must not match any more.
            try:
                return self.jobs.replace(stored, back)
            except RecordChanged:
                continue
