"""Wait until jobs are final, with one small request per look."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from attrs import define, field, frozen

from cloudq.domain.errors import CloudqError, StoreProblem, StoreUnavailable, WaitTimedOut
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job import Job, StoredJob
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobRepository
from cloudq.ports.workers import Workers

HISTORY_WITHIN_S = 30.0
"""Seconds to wait for the history entry of a final job: record and entry are separate writes."""
LOOK_FOR_HISTORY_EVERY_S = 1.0
READ_RECORDS_EVERY_S = 60.0
"""Seconds between two looks at the records of all awaited jobs: an agent whose clock is behind puts its
history entries where no look finds them."""
RECENT = 100
"""The number of history entries in a look."""
MAX_NEW = 10_000
"""The number of history entries in a look if all the recent ones are new."""


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
                self.await_history(stored.job)
                return stored.job
            if stored.job.state_of_task(task).is_final:
                return stored.job
            if timeout_s is not None and self.clock.elapsed() - began >= timeout_s:
                raise WaitTimedOut(
                    f"Job ({job_id}) is still {stored.job.state.value} after {timeout_s:g} s; it continues."
                )
            self.clock.sleep(poll_s)
            stored = self._look(stored)

    def await_history(self, job: Job) -> None:
        """Wait until the entry of a final job is in the history, unless that takes very long."""
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


def ignore_end(_: Job) -> None:
    """Ignore the end of a job."""


def raise_error(error: CloudqError) -> None:
    """Raise *error*."""
    raise error


@frozen
class WaitForJobs:
    """Wait for several jobs at once, also through a temporary failure of the store."""

    jobs: JobRepository
    wait: WaitForJob
    workers: Workers
    clock: Clock

    def __call__(
        self,
        job_ids: Sequence[str],
        *,
        any_of: bool,
        timeout_s: float | None,
        poll_s: float,
        ended: Callable[[Job], object] = ignore_end,
        failed: Callable[[CloudqError], object] = raise_error,
    ) -> tuple[Job, ...]:
        """Return the jobs once all are final, in the order given; with *any_of*, those that are once one is.

        Each record is read once at the beginning, at the end and once a minute. In between, one LIST of the
        newest history entries per look shows which jobs have ended; for a single job, one GET.

        *ended* is called with each job that has ended. *failed* is called with the error about a job that
        does not exist or cannot be read, and the others are awaited. Raises `WaitTimedOut`.
        """
        began = self.clock.elapsed()
        watch = _Watch(self.jobs, self.workers, failed)
        watch.begin(job_ids)
        read_at = self.clock.elapsed()
        results: dict[str, Job] = {}
        while True:
            finals = watch.take_final()
            self.workers.map(self.wait.await_history, [job for job in finals if not watch.is_listed(job)])
            for job in finals:
                results[job.uuid] = job
                ended(job)
            if not watch.pending or (any_of and results):
                return tuple(results[job_id] for job_id in dict.fromkeys(job_ids) if job_id in results)
            if timeout_s is not None and self.clock.elapsed() - began >= timeout_s:
                raise WaitTimedOut(_still_waiting(watch.pending, timeout_s))
            self.clock.sleep(poll_s)
            if self.clock.elapsed() - read_at >= READ_RECORDS_EVERY_S:
                read_at = self.clock.elapsed()
                watch.read(list(watch.pending))
            else:
                watch.look()


def _still_waiting(pending: Iterable[str], timeout_s: float) -> str:
    ids = list(pending)
    if len(ids) == 1:
        return f"Job ({ids[0]}) has not ended after {timeout_s:g} s; it continues."
    return f"{len(ids)} jobs have not ended after {timeout_s:g} s; they continue: {', '.join(ids)}"


@define
class _Watch:
    """The jobs that were not seen to be final yet."""

    _jobs: JobRepository
    _workers: Workers
    _failed: Callable[[CloudqError], object]
    pending: dict[str, StoredJob] = field(factory=dict)
    _recent: set[str] = field(factory=set)
    """The jobs of the newest history entries in the look before."""
    _listed: set[str] = field(factory=set)
    """The awaited jobs that a look saw in the history."""

    def begin(self, job_ids: Sequence[str]) -> None:
        """Read the history before the records, so that no end is missed between them."""
        if len(job_ids) > 1:
            self._recent = {entry.job_id for entry in self._jobs.history(RECENT)}
            self._listed = self._recent & set(job_ids)
        self._take(self._workers.map(self._read_first, dict.fromkeys(job_ids)))

    def take_final(self) -> list[Job]:
        """Return the jobs that are final, and forget them."""
        finals = [stored.job for stored in self.pending.values() if stored.job.is_final]
        for job in finals:
            del self.pending[job.uuid]
        return finals

    def is_listed(self, job: Job) -> bool:
        """Return whether a look saw the job in the history."""
        return job.uuid in self._listed

    def look(self) -> None:
        """Read the records of jobs that have ended, according to the history; of a single job, always."""
        if len(self.pending) == 1:
            self.read(list(self.pending))
            return
        try:
            ended = {entry.job_id for entry in self._new_entries()} & self.pending.keys()
        except StoreUnavailable:
            return
        self._listed |= ended
        self.read(sorted(ended))

    def read(self, job_ids: list[str]) -> None:
        """Read the records of *job_ids* again."""
        self._take(self._workers.map(self._read_again, job_ids))

    def _new_entries(self) -> Iterator[HistoryEntry]:
        """Yield the newest entries, and all those before them that are newer than the look before."""
        newest = list(self._jobs.history(RECENT))
        before, self._recent = self._recent, {entry.job_id for entry in newest}
        yield from newest
        if len(newest) < RECENT or not before or before & self._recent:
            return
        for entry in islice(self._jobs.history(), MAX_NEW):
            if entry.job_id in before:
                return
            yield entry

    def _take(self, answers: Iterable[tuple[str, StoredJob | CloudqError]]) -> None:
        for job_id, answer in answers:
            if isinstance(answer, CloudqError):
                self.pending.pop(job_id, None)
                self._failed(answer)
            else:
                self.pending[job_id] = answer

    def _read_first(self, job_id: str) -> tuple[str, StoredJob | CloudqError]:
        try:
            return job_id, self._jobs.load(job_id)
        except StoreProblem:
            raise
        except CloudqError as error:
            return job_id, error

    def _read_again(self, job_id: str) -> tuple[str, StoredJob | CloudqError]:
        known = self.pending[job_id]
        try:
            return job_id, self._jobs.load_if_changed(known)
        except StoreUnavailable:
            return job_id, known
        except StoreProblem:
            raise
        except CloudqError as error:
            return job_id, error
