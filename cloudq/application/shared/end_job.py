"""The last steps of a job that ended without being run, which any process may finish.

Each step can be repeated, by the same process or by another one that finds the steps unfinished.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, frozen

from cloudq.domain.errors import ClaimMissing, JobNotFound, RecordChanged
from cloudq.domain.jobs.claim import Claim
from cloudq.domain.jobs.job import Job, StoredJob
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.task_states import TaskState, TaskStates
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobQueue, JobRepository


@frozen
class EndJob:
    """End a job in the bucket: record, history entry, queue entries (protocol 3.3, 3.4, 5.4)."""

    jobs: JobRepository
    queue: JobQueue
    clock: Clock

    def finish_canceled(self, stored: StoredJob, claim: Claim) -> StoredJob:
        """Finish what a ``cancel`` claim began; return the final record.

        A system that held the job gets a cancel request before the record is final, since it is possible that
        no process returns to a final job. Raises `ClaimMissing` if the record names a later claim, or another
        claim of this number: the bucket went back.
        """
        if claim.system and not stored.job.is_final:
            self.queue.request_cancel(claim.system, ClaimTag(stored.job.uuid, claim.replaced))
            self.queue.ring(claim.system)
        stored = self._make_final(stored, claim)
        self.confirm_final(stored.job)
        self.withdraw(stored.job, claim.replaced, [claim.system] if claim.system else ())
        return stored

    def confirm_final(self, job: Job) -> None:
        """Put the history entry of a final job, again if needed: the record's writer may have died before."""
        if job.history_key:
            self.jobs.put_history(job.history_key)

    def withdraw(self, job: Job, n: int, systems: Iterable[str] = ()) -> None:
        """Delete the queue entries ``<id>.<n>`` of every system that was invited."""
        for system in dict.fromkeys((*job.invited, *systems)):
            self.queue.withdraw(system, [ClaimTag(job.uuid, n)])

    def _make_final(self, stored: StoredJob, claim: Claim) -> StoredJob:
        while not stored.job.is_final:
            try:
                return self.jobs.replace(stored, self._canceled(stored.job, claim))
            except RecordChanged:
                stored = self.jobs.load(stored.job.uuid)
                if stored.job.certain_claim >= claim.n:  # the bucket went back, and a system has the job
                    raise ClaimMissing(stored.job.uuid, claim.n) from None
        return stored

    def _canceled(self, job: Job, claim: Claim) -> Job:
        by = f" by {claim.by}" if claim.by else ""
        end = TaskState(JobState.DELETED, reason=claim.reason or f"canceled{by} before it was run")
        if job.array_tid is not None:
            job = evolve(job, tasks=_canceled_tasks(job, job.array_tid))
        return with_history_key(self.jobs, job.ended(end, self.clock.now()))


def _canceled_tasks(job: Job, array: ArrayRange) -> TaskStates:
    """Return the tasks as DELETED, except final ones, which keep their state."""
    ended = {task: state for task, state in job.tasks.items() if state.state.is_final}
    if not ended:
        return TaskStates.all_alike(array, JobState.DELETED)
    return TaskStates.of({task: ended.get(task, TaskState(JobState.DELETED)) for task in array})


def with_history_key(jobs: JobRepository, job: Job) -> Job:
    """Return the final *job* with the key of its history entry."""
    return evolve(job, history_key=jobs.history_key(job))


def load_or_none(jobs: JobRepository, job_id: str) -> StoredJob | None:
    """Return the record of a job, or None if there is none."""
    try:
        return jobs.load(job_id)
    except JobNotFound:
        return None
