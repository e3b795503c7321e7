"""Cancel a job: end it directly if it has no holder, else ask its holder (protocol 3.3)."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from cloudq.application.shared.end_job import EndJob
from cloudq.application.shared.find_holder import FindHolder, Holder
from cloudq.application.shared.know_store import KnowStore
from cloudq.application.shared.take_back_job import TakeBackJob
from cloudq.domain.errors import ClaimMissing, InvalidInput, JobStateConflict
from cloudq.domain.jobs.claim import Claim, ClaimKind
from cloudq.domain.jobs.job import Job, StoredJob
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import Clock, IdSource
from cloudq.ports.job_repository import JobQueue, JobRepository


class CancelResult(Enum):
    """The result of a cancel."""

    CANCELED = "canceled"
    """The job has ended."""
    REQUESTED = "requested"
    """Its holder was asked to end it."""


@frozen
class CancelJob:
    """End a job, or ask the system that runs it to end it."""

    jobs: JobRepository
    queue: JobQueue
    find_holder: FindHolder
    end_job: EndJob
    take_back: TakeBackJob
    know_store: KnowStore
    clock: Clock
    ids: IdSource
    client: str

    def __call__(self, job_id: str) -> CancelResult:
        """Cancel *job_id*; canceling twice is no error.

        Raises `JobNotFound`, and `JobStateConflict` if it ended in another way.
        """
        while True:
            stored = self.jobs.load(job_id)
            try:
                newest = self.jobs.newest_claim(job_id, stored.job.certain_claim)
            except ClaimMissing:
                if not stored.job.run_system:
                    raise
                # Only the record is left. Its holder may still run the job; it knows what it started.
                return self._ask(stored.job.run_system, stored.job.tag)
            if stored.job.is_final:
                self._tidy_up(stored, newest)
                return self._ended(stored.job)
            if newest is not None and newest.kind is ClaimKind.RUN:
                return self._ask(newest.system, ClaimTag(job_id, newest.n))
            if self.know_store.ask():
                return self._ask_the_invited(stored.job, newest)
            if newest is not None and newest.kind is ClaimKind.RELEASE:
                # No other process finishes an interrupted take-back, and its old holder must let the job go.
                self.take_back.finish(job_id, newest)
            if newest is None or newest.kind is ClaimKind.RELEASE:
                newest = self.jobs.create_claim(job_id, self._claim(newest.n + 1 if newest else 1)).claim
            if newest.kind is ClaimKind.CANCEL:
                return self._ended(self.end_job.finish_canceled(stored, newest).job)

    def without_the_holder(self, job_id: str, expected_claim: int, *, force: bool) -> CancelResult:
        """Cancel a job whose holder, by claim *expected_claim*, no longer acts.

        If its agent returns, it cancels its scheduler job and writes nothing more for the job. Repeatable
        after a crash. Raises `JobStateConflict` if the job ended in another way, another claim is the newest,
        or the holder sent a heartbeat recently and *force* is not set: the job may still run for a while.
        """
        newest = self.jobs.newest_claim(job_id, self.jobs.load(job_id).job.certain_claim)
        if newest is None or newest.kind is not ClaimKind.CANCEL:
            holder = self.find_holder.to_take_from(job_id, expected_claim, force=force)
            newest = self.jobs.create_claim(job_id, self._claim(expected_claim + 1, holder)).claim
        if newest.kind is not ClaimKind.CANCEL:
            raise JobStateConflict(f"Job ({job_id}) was taken back by {newest.by} in the meantime.")
        return self._ended(self.end_job.finish_canceled(self.jobs.load(job_id), newest).job)

    def task(self, job_id: str, task: int) -> CancelResult:
        """Cancel one task of an array job; the other tasks continue.

        Raises `JobNotFound`, `InvalidInput` if there is no such task, and `JobStateConflict` if the task
        ended in another way, or if no system has taken the job yet.
        """
        job = self.jobs.load(job_id).job
        if (state := _state_of(job, task)) is not None:
            if state is JobState.DELETED:
                return CancelResult.CANCELED
            raise JobStateConflict(f"Task {task} of job ({job_id}) has ended already: {state.value}.")
        newest = self.jobs.newest_claim(job_id, job.certain_claim)
        if newest is None or newest.kind is not ClaimKind.RUN:
            raise JobStateConflict(
                f"No system has taken job ({job_id}) yet: cancel the whole job now, or this task later."
            )
        self.queue.request_cancel(newest.system, ClaimTag(job_id, newest.n), task)
        self.queue.ring(newest.system)
        return CancelResult.REQUESTED

    def _claim(self, n: int, holder: Holder | None = None) -> Claim:
        reason = "" if holder is None else _without(holder, self.client)
        return Claim(
            n=n,
            kind=ClaimKind.CANCEL,
            nonce=self.ids.nonce(),
            time=self.clock.now(),
            system="" if holder is None else holder.system,
            by=self.client,
            reason=reason,
        )

    def _tidy_up(self, stored: StoredJob, newest: Claim | None) -> None:
        """Repeat the last steps of an ended job: the process that ended it may have died before them."""
        if newest is not None and newest.kind is ClaimKind.CANCEL:
            self.end_job.finish_canceled(stored, newest)
        else:
            self.end_job.confirm_final(stored.job)

    def _ask(self, system: str, tag: ClaimTag) -> CancelResult:
        self.queue.request_cancel(system, tag)
        self.queue.ring(system)
        return CancelResult.REQUESTED

    def _ask_the_invited(self, job: Job, newest: Claim | None) -> CancelResult:
        """Ask all invited systems to cancel: on a weak store only agents write, even for an unclaimed job."""
        n = 1 if newest is None else newest.n + (newest.kind is ClaimKind.RELEASE)
        for system in job.invited:
            self._ask(system, ClaimTag(job.uuid, n))
        return CancelResult.REQUESTED

    def _ended(self, job: Job) -> CancelResult:
        if job.state is JobState.DELETED:
            return CancelResult.CANCELED
        raise JobStateConflict(f"Job ({job.uuid}) has ended already: {job.state.value}.")


def _without(holder: Holder, client: str) -> str:
    return f"canceled by {client} without the agent of {holder.system}: it may still run there"


def _state_of(job: Job, task: int) -> JobState | None:
    """Return the final state of a task; None while it has none. Raises `InvalidInput` for an unknown task."""
    if job.array_tid is None:
        raise InvalidInput(f"job ({job.uuid}) is not an array job: it has no task {task}")
    if task not in set(job.array_tid):
        raise InvalidInput(f"job ({job.uuid}) has no task {task}: its tasks are {job.array_tid}")
    state = job.state_of_task(task)
    return state if state.is_final else None
