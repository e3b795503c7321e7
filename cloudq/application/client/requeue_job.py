"""Offer a job again that does not get on: taken back from its holder, or not taken by anybody."""

from __future__ import annotations

from attrs import frozen

from cloudq.application.client.find_systems import FindSystems, Wanted
from cloudq.application.client.offer_job import OfferJob
from cloudq.application.shared.find_holder import FindHolder
from cloudq.application.shared.take_back_job import TakeBackJob
from cloudq.domain.errors import JobStateConflict
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.ports.job_repository import JobFiles, JobRepository


@frozen
class RequeueRequest:
    """Which job, and where to.

    Without *systems* those are invited that were the last time. *claim* is the number of the claim
    that the person saw who decided this; None: they saw that nobody holds the job.
    """

    job_id: str
    systems: tuple[str, ...] = ()
    claim: int | None = None
    force: bool = False
    """Take it even from a holder that reported lately: it may run twice."""


@frozen
class Requeued:
    """Who is invited now, from whom the job was taken, and what its owner should know."""

    systems: tuple[str, ...]
    taken_from: str = ""
    warnings: tuple[str, ...] = ()


@frozen
class RequeueJob:
    """What `requeue` does, whoever holds the job."""

    jobs: JobRepository
    files: JobFiles
    find_holder: FindHolder
    find_systems: FindSystems
    take_back: TakeBackJob
    offer: OfferJob

    def __call__(self, request: RequeueRequest) -> Requeued:
        """Requeue; repeatable after a crash.

        Raises `JobNotFound`, `UnknownSystem`, `InvalidInput` if a system cannot run the job, and
        `JobStateConflict` as `TakeBackJob` and `OfferJob` do, or if it is held and no claim is named.
        """
        warnings = self._check(request.job_id, request.systems) if request.systems else ()
        if request.claim is not None:
            release = self.take_back(request.job_id, request.systems, request.claim, force=request.force)
            return Requeued(release.systems, release.system, warnings)
        if (holder := self.find_holder(request.job_id)) is not None:
            raise JobStateConflict(
                f"Job ({request.job_id}) is held by {holder.system}, by claim {holder.claim.n}: name that "
                "claim to take it back."
            )
        return Requeued(self.offer(request.job_id, request.systems), warnings=warnings)

    def _check(self, job_id: str, systems: tuple[str, ...]) -> tuple[str, ...]:
        """What to know of *systems*; a meta job must fit each of them."""
        job = self.jobs.load(job_id).job
        self.find_systems.require_known(systems)
        script = self.files.script(job) if job.is_meta else None
        meta = None if script is None else MetaScript.parse(script.name, script.body)
        return self.find_systems(Wanted(pinned=systems, script=meta, array=job.array_tid)).warnings
