"""Wait until a job is final, with one small request per look."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from cloudq.domain.errors import StoreUnavailable, WaitTimedOut
from cloudq.domain.jobs.job import Job, StoredJob
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobRepository

HISTORY_WITHIN_S = 30.0
"""Seconds to wait for the history entry of a final job: record and entry are separate writes."""
LOOK_FOR_HISTORY_EVERY_S = 1.0


@frozen
class WaitForJob:
    """Read the record repeatedly, also through a temporary failure of the store."""

    jobs: JobRepository
    clock: Clock

    def __call__(
        self,
        job_id: str,
        *,
        timeout_s: float | None,
        poll_s: float,
        task: int | None = None,
        changed: Callable[[Job], None] | None = None,
    ) -> Job:
        """Return the job once it, or only its *task*, is final. Raises `WaitTimedOut`, `JobNotFound`.

        A final job is then in the history too, unless its entry could not be written for a long time.
        """
        began = self.clock.elapsed()
        stored = self.jobs.load(job_id)
        last_state = None
        while True:
            if changed is not None and stored.job.state is not last_state:
                last_state = stored.job.state
                changed(stored.job)
            if stored.job.is_final:
                self._await_history(stored.job)
                return stored.job
            if stored.job.state_of_task(task).is_final:
                return stored.job
            if timeout_s is not None and self.clock.elapsed() - began >= timeout_s:
                raise WaitTimedOut(
                    f"Job ({job_id}) is still {stored.job.state.value} after {timeout_s:g} s; it continues."
                )
            self.clock.sleep(poll_s)
            stored = self._look(stored)

    def _await_history(self, job: Job) -> None:
        began = self.clock.elapsed()
        while self._is_missing_in_history(job) and self.clock.elapsed() - began < HISTORY_WITHIN_S:
            self.clock.sleep(LOOK_FOR_HISTORY_EVERY_S)

    def _is_missing_in_history(self, job: Job) -> bool:
        try:
            return not self.jobs.is_in_history(job)
        except StoreUnavailable:
            return True

    def _look(self, known: StoredJob) -> StoredJob:
        try:
            return self.jobs.load_if_changed(known)
        except StoreUnavailable:
            return known
