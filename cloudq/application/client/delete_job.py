"""Delete finished jobs and agents' logs (protocol 3.6)."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from cloudq.application.shared.find_holder import FindHolder, is_presumed_gone
from cloudq.domain.errors import (
    JobNotFinal,
    JobNotFound,
    JobNotPutAway,
    JobStateConflict,
    NewerFormat,
    NoAgentLog,
    RecordRejected,
)
from cloudq.domain.jobs.job import Job
from cloudq.ports.job_repository import JobQueue, JobRepository
from cloudq.ports.system_registry import SystemRegistry


@frozen
class DeleteJob:
    """Remove finished jobs from the bucket."""

    jobs: JobRepository
    queue: JobQueue
    registry: SystemRegistry
    find_holder: FindHolder

    def __call__(self, job_id: str, *, force: bool = False) -> None:
        """Delete one finished job with all its data.

        Raises `JobNotFound`, and `JobStateConflict` if the job is not final or its agent has not put it away
        yet; *force* overrides the latter if the agent has been silent for ten times its time to live.
        """
        try:
            job = self.jobs.load(job_id).job
        except JobNotFound:
            if self.jobs.remove_ghost(job_id):
                return
            raise
        except NewerFormat:
            raise
        except RecordRejected as error:
            raise RecordRejected(
                f"{error}\nThe job may be running, so nothing was deleted. If you do not need it, "
                f"remove jobs/{job_id}/ and queue/*/{job_id}.* from the store with the store's own tools."
            ) from error
        if not job.is_final:
            raise JobNotFinal(job_id, job.state.value)
        if job.run_system and job.claim and self.queue.holds_queue_entry(job.run_system, job.tag):
            self._require_gone(job, force=force)
            # An agent that returns finds neither record nor claim: the request informs it of the deletion.
            self.queue.request_cancel(job.run_system, job.tag)
            self.queue.withdraw(job.run_system, [job.tag])
        self.jobs.delete(job)

    def _require_gone(self, job: Job, *, force: bool) -> None:
        if not is_presumed_gone(self.find_holder.last_heartbeat(job.run_system)):
            raise JobStateConflict(
                f"The agent of {job.run_system} is still cleaning up job ({job.uuid}). Try again later."
            )
        if not force:
            raise JobNotPutAway(job.uuid, job.run_system)

    def all_finished(self) -> Iterator[str]:
        """Delete every finished job that its agent has put away; yield each id once the job is gone."""
        queues = self.queue.queue_entries_of_all()
        held = {
            (system, queue_entry.tag.job_id)
            for system, queue in queues.items()
            for queue_entry in queue.queue_entries
        }
        return self.jobs.delete_finished(keep=lambda entry: (entry.system, entry.job_id) in held)

    def agent_log(self, system: str) -> None:
        """Delete the log of an agent. Raises `NoAgentLog`."""
        if not self.registry.delete_agent_log(system):
            raise NoAgentLog(system)
