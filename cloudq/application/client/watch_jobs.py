"""Look at all jobs again and again, also while the store is out of reach."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile

from attrs import evolve, frozen

from cloudq.application.client.query_jobs import QueryJobs
from cloudq.domain.errors import StoreUnavailable
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.selector import EVERY_JOB, Selector
from cloudq.domain.jobs.summary import ActiveJob
from cloudq.ports.clock import Clock

MOST_ENDED = 100
"""The number of ended jobs that one look can show: they cost one request, however long the history is."""


@frozen
class Snapshot:
    """The unfinished jobs, oldest first, and those that ended lately, the most recent first."""

    jobs: tuple[ActiveJob, ...]
    ended: tuple[HistoryEntry, ...]
    warnings: tuple[str, ...]
    """Warnings about the systems for which jobs wait."""
    as_of: datetime
    """The time of the look that found these jobs."""
    trouble: str = ""
    """Why the newest look failed: then the jobs are those of the last one that succeeded."""


@frozen
class WatchJobs:
    """Take snapshots; each costs the requests of a list, and one LIST of the history."""

    query: QueryJobs
    clock: Clock

    def __call__(
        self, every_s: float, ended_within_s: float, selector: Selector = EVERY_JOB
    ) -> Iterator[Snapshot]:
        """Yield a snapshot of the selected jobs at once and then one every *every_s* seconds, without end.

        Raises `StoreUnavailable` only at the first look: a later failure is the snapshot's ``trouble``.
        """
        lately = timedelta(seconds=ended_within_s)
        snapshot = self._look(lately, selector)
        while True:
            yield snapshot
            self.clock.sleep(every_s)
            try:
                snapshot = self._look(lately, selector)
            except StoreUnavailable as error:
                snapshot = evolve(snapshot, trouble=str(error) or type(error).__name__)

    def _look(self, lately: timedelta, selector: Selector) -> Snapshot:
        now = self.clock.now()
        beginning = max(now - lately, selector.beginning(now) or now - lately)
        active = self.query.active(selector)
        # Select among the newest entries: looking further for selected ones has no bound.
        newest = tuple(
            takewhile(lambda entry: entry.time_finish >= beginning, self.query.history(MOST_ENDED))
        )
        ended_ids = {entry.job_id for entry in newest}
        jobs = tuple(job for job in active.jobs if job.job_id not in ended_ids)
        ended = tuple(filter(selector.accepts_ended, newest))
        return Snapshot(jobs, ended, active.warnings, now)
