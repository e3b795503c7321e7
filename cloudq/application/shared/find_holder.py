"""Who holds a job, and whether it may be taken from there (protocol 3.5)."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from cloudq.domain.errors import JobStateConflict, StoreUnfit
from cloudq.domain.jobs.claim import Claim, ClaimKind
from cloudq.domain.jobs.lease import TIME_TO_LIVE_S
from cloudq.domain.stores.store_check import StoreCheck
from cloudq.ports.job_repository import JobRepository
from cloudq.ports.system_registry import SeenLease, SystemRegistry

DEAD_AFTER_TIMES_TO_LIVE = 10.0


def gone_after_s(beat: SeenLease | None) -> float:
    """After how long a silence an agent is presumed to be gone."""
    return DEAD_AFTER_TIMES_TO_LIVE * (TIME_TO_LIVE_S if beat is None else beat.lease.time_to_live_s)


def is_presumed_gone(beat: SeenLease | None) -> bool:
    """Whether an agent has been silent for ten times its time to live since *beat*."""
    return beat is None or beat.age_s > gone_after_s(beat)


@frozen
class Holder:
    """Who holds a job: the claim, and the last beat of that system's agent if there is one."""

    claim: Claim
    last_beat: SeenLease | None

    @property
    def system(self) -> str:
        """The system that runs the job."""
        return self.claim.system

    @property
    def is_presumed_gone(self) -> bool:
        """Whether the agent has been silent for ten times its time to live."""
        return is_presumed_gone(self.last_beat)


@frozen
class FindHolder:
    """Reads the newest claim of a job and the last beat of the system that it names."""

    jobs: JobRepository
    registry: SystemRegistry

    def __call__(self, job_id: str) -> Holder | None:
        """The holder; None while nobody is, or when the job is over. Raises `JobNotFound`."""
        job = self.jobs.load(job_id).job
        if job.is_final:
            return None
        newest = self.jobs.newest_claim(job_id, job.certain_claim)
        if newest is None or newest.kind is not ClaimKind.RUN:
            return None
        return Holder(newest, self.last_beat(newest.system))

    def to_take_from(self, job_id: str, expected_claim: int, *, force: bool) -> Holder:
        """The holder by claim *expected_claim*, if the job may be taken from it.

        Raises `JobStateConflict` if the job ended, another claim is the newest by now, or its
        holder has beaten lately and *force* is not given: it might run twice.
        """
        holder = self(job_id)
        if holder is None or holder.claim.n != expected_claim:
            raise JobStateConflict(
                f"Job ({job_id}) is over, or not held by claim {expected_claim} (any more)."
            )
        if not (holder.is_presumed_gone or force):
            minutes = gone_after_s(holder.last_beat) / 60
            raise JobStateConflict(
                f"The agent of {holder.system} reported lately: job ({job_id}) may still run there. "
                f"Wait until it has been silent for {minutes:.0f} min; or use --force: then it may run twice."
            )
        _require_fit_store(holder.last_beat)
        return holder

    def require_fit_store(self, systems: Iterable[str]) -> None:
        """Raise `StoreUnfit` if one of *systems* found that claims do not decide anything here."""
        for system in systems:
            _require_fit_store(self.last_beat(system))

    def last_beat(self, system: str) -> SeenLease | None:
        """What the agent of *system* last said of itself."""
        return self.registry.newest_lease(system)


def _require_fit_store(beat: SeenLease | None) -> None:
    """Where conditional writes decide nothing, a job that is taken back could be taken twice."""
    check = None if beat is None else StoreCheck.parse(beat.lease.store_check)
    if check is not None and check.is_weak:
        raise StoreUnfit(
            f"This store cannot take a job from its holder: it keeps no conditional writes apart "
            f"({check.flaws}). Ask for the job to be canceled, and submit it again once it has ended."
        )
