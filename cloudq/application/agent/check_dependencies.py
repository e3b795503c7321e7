"""Check whether the dependencies of waiting jobs are over (protocol 7.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from attrs import define, field

from cloudq.domain.errors import JobNotFound, RecordRejected
from cloudq.domain.jobs.job import Job, StoredJob
from cloudq.domain.jobs.job_state import JobState
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobRepository

LOOK_EVERY_S = 60.0
MAX_LOOKS_A_CYCLE = 1000
"""A limit on the reads per cycle, so that its other steps get their turn; the rest are read later."""
MAX_NAMED = 20
"""The most unfinished jobs that are checked and named: a single one is reason enough to wait."""
MAX_KEPT = 100_000
MAX_KEPT_BYTES = 64 * 1024
"""The largest record that is kept, so that it is read again only after a change."""


@define
class _Look:
    at: float
    seen: StoredJob | None


@define
class CheckDependencies:
    """Check whether jobs are over: final in any state, or deleted.

    Each distinct job is read at most once a minute.
    """

    jobs: JobRepository
    clock: Clock
    _over: dict[str, JobState | None] = field(factory=dict, init=False)
    """The final state of a job that is over; None if it was deleted before this agent saw that state."""
    _looks: dict[str, _Look] = field(factory=dict, init=False)
    _looks_left: int = field(default=MAX_LOOKS_A_CYCLE, init=False)

    def begin_epoch(self) -> None:
        """Forget all states: the bucket may have gone back to an older state since the last epoch."""
        self._looks.clear()
        self._over.clear()

    def begin_cycle(self) -> None:
        """Allow `MAX_LOOKS_A_CYCLE` reads again, and empty caches that have grown too large."""
        self._looks_left = MAX_LOOKS_A_CYCLE
        if len(self._looks) > MAX_KEPT:
            self._looks.clear()
            self._over.clear()

    def why_waiting(self, job: Job) -> str:
        """Describe what *job* still waits for; empty if it waits for nothing."""
        holds = job.holds
        unfinished = list(
            islice((job_id for job_id in holds.all_ids if not self._is_over(job_id)), MAX_NAMED)
        )
        if unfinished:
            return f"waits for {', '.join(unfinished)}{' and more' if len(unfinished) == MAX_NAMED else ''}"
        gone = list(
            islice((job_id for job_id in holds.must_be_done if self._over[job_id] is None), MAX_NAMED)
        )
        if gone:
            return (
                f"waits for {', '.join(gone)} to be DONE, which cannot be checked after a deletion; "
                "cancel this job, or submit it again without that dependency"
            )
        return ""

    def why_never(self, job: Job) -> str:
        """Explain why *job* must never run; empty if no job that it needs has failed."""
        known = islice(self._failed(job.holds.must_be_done), MAX_NAMED)
        failed = [f"{job_id} ended as {state.value}" for job_id, state in known]
        return f"not run: {', '.join(failed)}, but this job requires DONE" if failed else ""

    def note_over(self, job: Job) -> None:
        """Note that a job of this agent ended, so that the store need not be asked about it."""
        if job.uuid in self._looks:
            self._over[job.uuid] = job.state

    def _failed(self, job_ids: Iterable[str]) -> Iterator[tuple[str, JobState]]:
        unfinished = 0
        for job_id in job_ids:
            state = self._over[job_id] if self._is_over(job_id) else None
            unfinished += job_id not in self._over
            if unfinished > MAX_NAMED:
                return
            if state is not None and state is not JobState.DONE:
                yield job_id, state

    def _is_over(self, job_id: str) -> bool:
        now = self.clock.elapsed()
        look = self._looks.get(job_id)
        is_due = look is None or now - look.at >= LOOK_EVERY_S
        if job_id not in self._over and is_due and self._looks_left > 0:
            self._looks_left -= 1
            self._looks[job_id] = self._look(job_id, look, now)
        return job_id in self._over

    def _look(self, job_id: str, before: _Look | None, now: float) -> _Look:
        try:
            known = before.seen if before else None
            seen = self.jobs.load_if_changed(known) if known else self.jobs.load(job_id)
        except JobNotFound:
            self._over[job_id] = None
            return _Look(now, None)
        except RecordRejected:
            return _Look(now, None)
        if seen.job.is_final:
            self._over[job_id] = seen.job.state
        return _Look(now, seen if seen.size <= MAX_KEPT_BYTES else None)
