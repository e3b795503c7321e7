"""Which of the jobs that others wait for are over (protocol 7.3)."""

from __future__ import annotations

from attrs import define, field

from cloudq.domain.errors import JobNotFound, RecordRejected
from cloudq.domain.job import StoredJob
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobRepository

LOOK_EVERY_S = 60.0


@define
class _Look:
    at: float
    seen: StoredJob | None


@define
class CheckDependencies:
    """Over means final in any state, or deleted. A distinct job is read once a minute."""

    jobs: JobRepository
    clock: Clock
    _over: set[str] = field(factory=set, init=False)
    _looks: dict[str, _Look] = field(factory=dict, init=False)

    def unfinished(self, job_ids: tuple[str, ...]) -> tuple[str, ...]:
        """Those of *job_ids* that are not known to be over."""
        return tuple(job_id for job_id in job_ids if not self._is_over(job_id))

    def note_over(self, job_id: str) -> None:
        """An own job ended: nobody need ask the store."""
        if job_id in self._looks:
            self._over.add(job_id)

    def _is_over(self, job_id: str) -> bool:
        now = self.clock.elapsed()
        look = self._looks.get(job_id)
        if job_id not in self._over and (look is None or now - look.at >= LOOK_EVERY_S):
            self._looks[job_id] = self._look(job_id, look, now)
        return job_id in self._over

    def _look(self, job_id: str, before: _Look | None, now: float) -> _Look:
        try:
            known = before.seen if before else None
            seen = self.jobs.load_if_changed(known) if known else self.jobs.load(job_id)
        except JobNotFound:
            self._over.add(job_id)
            return _Look(now, None)
        except RecordRejected:
            return _Look(now, None)
        if seen.job.is_final:
            self._over.add(job_id)
        return _Look(now, seen)
