"""Find the id that a user means: a whole id, the first digits of one, or "last"."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from attrs import frozen

from cloudq.application.client.query_jobs import QueryJobs
from cloudq.domain.errors import AmbiguousJobId, InvalidInput, JobNotFound
from cloudq.domain.names import LAST_JOB, is_beginning_of_job_id, is_job_id, job_id_problem
from cloudq.ports.client_memory import ClientMemory
from cloudq.ports.job_repository import JobRepository

MAX_CANDIDATES = 10
"""The number of ids that the message about an ambiguous beginning names."""


@frozen
class NameJobs:
    """Turn what users type into job ids."""

    records: JobRepository
    query: QueryJobs
    memory: ClientMemory

    def __call__(self, text: str) -> str:
        """Return the id that *text* stands for; it is not checked whether a job has a whole id.

        A whole id costs no request, the beginning of one costs one LIST. Raises `InvalidInput` for anything
        else, `AmbiguousJobId`, and `JobNotFound` if no job has such an id.
        """
        if is_job_id(text):
            return text
        if text == LAST_JOB:
            return self.memory.last_submission() or self._newest()
        if not is_beginning_of_job_id(text):
            raise InvalidInput(f"{job_id_problem(text)}, the first digits of one, or {LAST_JOB!r}")
        candidates = self.records.ids_beginning(text, MAX_CANDIDATES + 1)
        if not candidates:
            raise JobNotFound(text, f"No job has an id that begins with {text}.")
        if len(candidates) > 1:
            more = ["…"] if len(candidates) > MAX_CANDIDATES else []
            raise AmbiguousJobId(text, [*candidates[:MAX_CANDIDATES], *more])
        return candidates[0]

    def _newest(self) -> str:
        """Return the job that was submitted last by any client."""
        by_time = max(self._newest_of_each_kind(), default=None)
        if by_time is None:
            raise JobNotFound(LAST_JOB, "There is no job in the store.")
        return by_time[1]

    def _newest_of_each_kind(self) -> Iterator[tuple[datetime, str]]:
        """Yield the newest unfinished job and the finished jobs that may be newer."""
        active = [(job.time_submit, job.job_id) for job in self.query.active().jobs if job.time_submit]
        newest = max(active, default=None)
        if newest is not None:
            yield newest
        for entry in self.query.history():
            # The history is ordered by the end: all that follow were submitted before this one ended.
            if newest is not None and entry.time_finish <= newest[0]:
                return
            if entry.time_submit is not None:
                submission = (entry.time_submit, entry.job_id)
                newest = submission if newest is None else max(newest, submission)
                yield submission
