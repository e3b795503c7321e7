"""Offer a job without a holder: put missing queue entries, or invite other systems (protocol 3.5, I9)."""

from __future__ import annotations

from attrs import frozen

from cloudq.application.shared.find_holder import FindHolder
from cloudq.application.shared.take_back_job import TakeBackJob
from cloudq.domain.errors import JobStateConflict
from cloudq.domain.jobs.claim import Claim, ClaimKind
from cloudq.domain.jobs.job import Job
from cloudq.domain.names import ClaimTag
from cloudq.ports.job_repository import JobFiles, JobQueue, JobRepository


@frozen
class OfferJob:
    """Offer an unclaimed job again.

    Claims decide, as always: a system that was invited before may take the job at any moment.
    """

    jobs: JobRepository
    queue: JobQueue
    files: JobFiles
    find_holder: FindHolder
    take_back: TakeBackJob

    def __call__(self, job_id: str, systems: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Offer the job to *systems* and to no others; return the systems that are invited now.

        Without *systems*, the job is offered to the systems that were invited before, whose queue entries may
        be missing. Repeatable. Raises `JobNotFound`, and `JobStateConflict` if the job is final, held, or
        incompletely submitted.
        """
        job = self.jobs.load(job_id).job
        newest = self.jobs.newest_claim(job_id, job.certain_claim)
        self._require_offerable(job, newest)
        if newest is not None:  # no other process finishes an interrupted take-back
            self.take_back.carry_out(job_id, newest)
        invited = job.invited if newest is None else newest.systems
        if set(systems or invited) != set(invited):
            self.find_holder.require_fit_store(invited)
            n = 1 if newest is None else newest.n + 1
            return self.take_back.release(job_id, n, systems, no_longer=invited).systems
        if newest is None:
            self._invite(job_id, invited)
        return invited

    def _require_offerable(self, job: Job, newest: Claim | None) -> None:
        if job.is_final:
            raise JobStateConflict(f"Job ({job.uuid}) has ended already: {job.state.value}.")
        if newest is not None and newest.kind is ClaimKind.RUN:
            raise JobStateConflict(f"Job ({job.uuid}) was taken by {newest.system} in the meantime.")
        if newest is not None and newest.kind is ClaimKind.CANCEL:
            raise JobStateConflict(f"Job ({job.uuid}) is being canceled.")
        if newest is None and not self.files.are_complete(job):
            raise JobStateConflict(
                f"Job ({job.uuid}) was not submitted completely: its script or inputs are not in the store. "
                "Submit it again."
            )

    def _invite(self, job_id: str, systems: tuple[str, ...]) -> None:
        for system in systems:
            self.queue.invite(system, ClaimTag(job_id, 1))
        for system in systems:
            self.queue.ring(system)
