"""Wait until a job has ended, one small request a look."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from cloudq.domain.errors import StoreUnavailable, WaitTimedOut
from cloudq.domain.job import Job, StoredJob
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobRepository


@frozen
class WaitForJob:
    """Looks at the record again and again; a store that is down for a while is waited for too."""

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
        """Return the job once it, or only its *task*, has ended. Raises `WaitTimedOut`, `JobNotFound`."""
        began = self.clock.elapsed()
        stored = self.jobs.load(job_id)
        told = None
        while True:
            if changed is not None and stored.job.state is not told:
                told = stored.job.state
                changed(stored.job)
            if stored.job.is_final or stored.job.state_of_task(task).is_final:
                return stored.job
            if timeout_s is not None and self.clock.elapsed() - began >= timeout_s:
                raise WaitTimedOut(
                    f"Job ({job_id}) is still {stored.job.state.value} after {timeout_s:g} s; it goes on."
                )
            self.clock.sleep(poll_s)
            stored = self._look(stored)

    def _look(self, known: StoredJob) -> StoredJob:
        try:
            return self.jobs.load_if_changed(known)
        except StoreUnavailable:
            return known
