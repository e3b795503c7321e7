"""Take a job back from a system that no longer acts, and offer it again (protocol 3.5)."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from cloudq.application.shared.end_job import EndJob, load_or_none
from cloudq.application.shared.find_holder import FindHolder
from cloudq.domain.errors import JobStateConflict, RecordChanged
from cloudq.domain.jobs.claim import Claim, ClaimKind
from cloudq.domain.jobs.job import StoredJob
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import Clock, IdSource
from cloudq.ports.job_repository import JobQueue, JobRepository


@frozen
class TakeBackJob:
    """Take a job back when a user who saw its holder decides so, never automatically."""

    jobs: JobRepository
    queue: JobQueue
    find_holder: FindHolder
    end_job: EndJob
    clock: Clock
    ids: IdSource
    client: str

    def __call__(self, job_id: str, systems: tuple[str, ...], expected_claim: int, *, force: bool) -> Claim:
        """Take claim *expected_claim* back and invite *systems*; repeatable after a crash.

        Without *systems*, the systems that were invited the last time are invited again. Returns the
        ``release`` claim, which may be that of an earlier call. Raises `JobStateConflict` if the job ended,
        another claim is the newest, or the holder sent a heartbeat recently and *force* is not set: the job
        might run twice.
        """
        newest = self.jobs.newest_claim(job_id, self.jobs.load(job_id).job.certain_claim)
        if newest is not None and newest.kind is ClaimKind.RELEASE and newest.n == expected_claim + 1:
            return self.carry_out(job_id, newest)
        holder = self.find_holder.to_take_from(job_id, expected_claim, force=force)
        invited = self.jobs.load(job_id).job.invited
        again = systems or invited or (holder.system,)
        return self.release(job_id, expected_claim + 1, again, no_longer=invited, taken_from=holder.system)

    def release(
        self,
        job_id: str,
        n: int,
        systems: tuple[str, ...],
        *,
        no_longer: tuple[str, ...],
        taken_from: str = "",
    ) -> Claim:
        """Create ``release`` claim *n* for *systems*, or adopt an existing one, and carry it out.

        Raises `JobStateConflict` if another process took the job or ended it.
        """
        wanted = Claim(
            n=n,
            kind=ClaimKind.RELEASE,
            nonce=self.ids.nonce(),
            time=self.clock.now(),
            system=taken_from,
            systems=systems,
            no_longer=no_longer,
            by=self.client,
        )
        standing = self.jobs.create_claim(job_id, wanted).claim
        if standing.kind is ClaimKind.RUN:
            raise JobStateConflict(f"Job ({job_id}) was taken by {standing.system} in the meantime.")
        if standing.kind is ClaimKind.CANCEL:
            raise JobStateConflict(f"Job ({job_id}) was canceled in the meantime.")
        return self.carry_out(job_id, standing)

    def carry_out(self, job_id: str, release: Claim) -> Claim:
        """Finish *release* and return it; raise `JobStateConflict` if there was nothing to finish."""
        if not self.finish(job_id, release):
            raise JobStateConflict(
                f"Job ({job_id}) ended or was claimed again before it could be taken back."
            )
        return release

    def finish(self, job_id: str, release: Claim) -> bool:
        """Finish what a ``release`` claim began; return whether there was anything to finish."""
        stored = self._back_to_init(job_id, release)
        if stored is None:
            return False
        replaced, offered = ClaimTag(job_id, release.replaced), ClaimTag(job_id, release.n + 1)
        if release.system:
            self.queue.request_cancel(release.system, replaced)
        for system in release.systems:
            self.queue.invite(system, offered)
        for system in dict.fromkeys((*release.systems, *_holder(release))):
            self.queue.ring(system)
        for system in _no_longer_invited(release):
            self.queue.withdraw(system, [replaced])
        return True

    def _back_to_init(self, job_id: str, release: Claim) -> StoredJob | None:
        """Return the record, set back to INIT; None if the job is gone or final, or *release* is outdated."""
        while True:
            stored = load_or_none(self.jobs, job_id)
            if stored is None:
                return None
            if stored.job.is_final:
                self.end_job.confirm_final(stored.job)
                self.end_job.withdraw(stored.job, release.replaced, _no_longer_invited(release))
                return None
            newest = self.jobs.newest_claim(job_id, release.n)
            if newest is None or newest.n != release.n:
                return None
            back = stored.job.taken_back(self.clock.now(), release.systems, _reason(release))
            # Rewritten even if it is INIT already, so that the old holder's next write fails.
            try:
                return self.jobs.replace(stored, back)
            except RecordChanged:
                continue


def _holder(release: Claim) -> tuple[str, ...]:
    return (release.system,) if release.system else ()


def _no_longer_invited(release: Claim) -> Iterator[str]:
    """Yield the systems whose queue entries the claim makes void, the holder's last."""
    yield from dict.fromkeys(system for system in release.no_longer if system != release.system)
    yield from _holder(release)


def _reason(release: Claim) -> str:
    return f"taken back{' from ' if release.system else ''}{release.system} by {release.by}"
