"""Find the holder of a job, and decide whether the job may be taken from it (protocol 3.5)."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from cloudq.domain.errors import HolderReported, JobStateConflict, StoreUnfit
from cloudq.domain.jobs.claim import Claim, ClaimKind
from cloudq.domain.jobs.lease import TIME_TO_LIVE_S
from cloudq.domain.stores.store_check import StoreCheck
from cloudq.ports.job_repository import JobRepository
from cloudq.ports.system_registry import SeenLease, SystemRegistry

DEAD_AFTER_TIMES_TO_LIVE = 10.0


def gone_after_s(heartbeat: SeenLease | None) -> float:
    """Return the seconds of silence after which an agent is presumed gone."""
    return DEAD_AFTER_TIMES_TO_LIVE * (
        TIME_TO_LIVE_S if heartbeat is None else heartbeat.lease.time_to_live_s
    )


def is_presumed_gone(heartbeat: SeenLease | None) -> bool:
    """Return whether an agent's last heartbeat is None or older than ten times its time to live."""
    return heartbeat is None or heartbeat.age_s > gone_after_s(heartbeat)


@frozen
class Holder:
    """The holder of a job: its claim, and the last heartbeat of its system's agent if there is one."""

    claim: Claim
    last_heartbeat: SeenLease | None

    @property
    def system(self) -> str:
        """The system that runs the job."""
        return self.claim.system

    @property
    def is_presumed_gone(self) -> bool:
        """Return True if the agent has been silent for ten times its time to live."""
        return is_presumed_gone(self.last_heartbeat)


@frozen
class FindHolder:
    """Read the newest claim of a job and the last heartbeat of the system that it names."""

    jobs: JobRepository
    registry: SystemRegistry

    def __call__(self, job_id: str) -> Holder | None:
        """Return the holder; None if the job has none or is final. Raises `JobNotFound`."""
        job = self.jobs.load(job_id).job
        if job.is_final:
            return None
        newest = self.jobs.newest_claim(job_id, job.certain_claim)
        if newest is None or newest.kind is not ClaimKind.RUN:
            return None
        return Holder(newest, self.last_heartbeat(newest.system))

    def to_take_from(self, job_id: str, expected_claim: int, *, force: bool) -> Holder:
        """Return the holder by claim *expected_claim*, if the job may be taken from it.

        Raises `JobStateConflict` if the job ended or another claim is the newest, and `HolderReported` if the
        holder sent a heartbeat recently and *force* is not set: the job might run twice.
        """
        holder = self(job_id)
        if holder is None or holder.claim.n != expected_claim:
            raise JobStateConflict(f"Job ({job_id}) has ended, or claim {expected_claim} does not hold it.")
        if not (holder.is_presumed_gone or force):
            raise HolderReported(job_id, holder.system, gone_after_s(holder.last_heartbeat))
        _require_fit_store(holder.last_heartbeat)
        return holder

    def require_fit_store(self, systems: Iterable[str]) -> None:
        """Raise `StoreUnfit` if the agent of one of *systems* found that claims decide nothing here."""
        for system in systems:
            _require_fit_store(self.last_heartbeat(system))

    def last_heartbeat(self, system: str) -> SeenLease | None:
        """Return the last heartbeat of the agent of *system*."""
        return self.registry.newest_lease(system)


def _require_fit_store(heartbeat: SeenLease | None) -> None:
    """Raise `StoreUnfit` on a weak store, where two systems could claim a job that is taken back."""
    check = None if heartbeat is None else StoreCheck.parse(heartbeat.lease.store_check)
    if check is not None and check.is_weak:
        raise StoreUnfit(
            f"A job cannot be taken from its holder: this store does not enforce conditional writes "
            f"({check.flaws}). Cancel the job, and submit it again once it has ended."
        )
