"""Delete finished jobs and agents' logs (protocol 3.6)."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from cloudq.domain.errors import JobNotFound, JobStateConflict, NewerFormat, NoAgentLog, RecordRejected
from cloudq.ports.job_repository import JobQueue, JobRepository
from cloudq.ports.system_registry import SystemRegistry


@frozen
class DeleteJob:
    """Removes finished jobs from the bucket."""

    jobs: JobRepository
    queue: JobQueue
    registry: SystemRegistry

    def __call__(self, job_id: str) -> None:
        """Delete one finished job with all its data.

        Raises `JobNotFound`, and `JobStateConflict` while the job has not ended or its agent has
        not let go of it.
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
                f"{error}\nWhether it runs cannot be told, so nothing was deleted. If it is not needed, "
                f"remove jobs/{job_id}/ and queue/*/{job_id}.* from the store with the store's own tools."
            ) from error
        if not job.is_final:
            raise JobStateConflict(
                f"Job ({job_id}) is {job.state.value}: only a finished job can be deleted. "
                f"Cancel it first: cloudqcli cancel --id {job_id}"
            )
        if job.run_system and self.queue.holds_marker(job.run_system, job_id):
            raise JobStateConflict(
                f"Job ({job_id}) is still being put away by the agent of {job.run_system}. Try again later."
            )
        self.jobs.delete(job)

    def all_finished(self) -> Iterator[str]:
        """Delete every finished job whose agent has let go of it; yield each id once it is gone."""
        queues = self.queue.markers_of_all()
        held = {(system, marker.tag.job_id) for system, queue in queues.items() for marker in queue.markers}
        return self.jobs.delete_finished(keep=lambda entry: (entry.system, entry.job_id) in held)

    def agent_log(self, system: str) -> None:
        """Delete the log of an agent. Raises `NoAgentLog`."""
        if not self.registry.delete_agent_log(system):
            raise NoAgentLog(f"There is no agent log of {system}.")
