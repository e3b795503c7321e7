"""Offer a job again that makes no progress: one taken back from its holder, or one that no agent took."""

from __future__ import annotations

from attrs import frozen

from cloudq.application.client.find_systems import FindSystems
from cloudq.application.client.offer_job import OfferJob
from cloudq.application.shared.find_holder import FindHolder
from cloudq.application.shared.take_back_job import TakeBackJob
from cloudq.domain.errors import JobStateConflict
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.ports.job_repository import JobFiles, JobRepository


@frozen
class RequeueRequest:
    """The job to requeue, and the systems to offer it to.

    Without *systems*, the job is offered to the same systems as the last time. *claim* is the number of the
    claim that the user saw before deciding; None means that the user saw no holder.
    """

    job_id: str
    systems: tuple[str, ...] = ()
    claim: int | None = None
    force: bool = False
    """Take it even from a holder that reported recently: the job may run twice."""


@frozen
class Requeued:
    """The systems that are invited now, the former holder, and warnings for the job's owner."""

    systems: tuple[str, ...]
    taken_from: str = ""
    warnings: tuple[str, ...] = ()


@frozen
class RequeueJob:
    """Requeue a job, whether it has a holder or not."""

    jobs: JobRepository
    files: JobFiles
    find_holder: FindHolder
    find_systems: FindSystems
    take_back: TakeBackJob
    offer: OfferJob

    def __call__(self, request: RequeueRequest) -> Requeued:
        """Requeue the job; repeatable after a crash.

        Raises `JobNotFound`, `UnknownSystem`, `InvalidInput` if a system cannot run the job, and
        `JobStateConflict` as `TakeBackJob` and `OfferJob` do, or if it is held and no claim is named.
        """
        warnings = self._check(request.job_id, request.systems) if request.systems else ()
        if request.claim is not None:
            release = self.take_back(request.job_id, request.systems, request.claim, force=request.force)
            return Requeued(release.systems, release.system, warnings)
        if (holder := self.find_holder(request.job_id)) is not None:
            raise JobStateConflict(
                f"Job ({request.job_id}) is held by {holder.system} with claim {holder.claim.n}: name that "
                "claim to take the job back."
            )
        return Requeued(self.offer(request.job_id, request.systems), warnings=warnings)

    def _check(self, job_id: str, systems: tuple[str, ...]) -> tuple[str, ...]:
        """Return warnings about *systems*; raise `InvalidInput` if a meta job does not fit one of them."""
        job = self.jobs.load(job_id).job
        self.find_systems.require_known(systems)
        script = self.files.script(job) if job.is_meta else None
        meta = None if script is None else MetaScript.parse(script.name, script.body)
        gives = job.gives_arguments
        return self.find_systems.pinned(systems, meta, job.array_tid, gives_arguments=gives).warnings
