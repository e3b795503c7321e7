"""A client's memory in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define, field


@define
class DictMemory:
    """An implementation of the port `ClientMemory`."""

    last: str | None = None
    known_jobs: list[str] = field(factory=list)
    known_systems: set[str] = field(factory=set)

    def note_submission(self, job_id: str) -> None:
        self.last = job_id
        self.note_jobs([job_id])

    def last_submission(self) -> str | None:
        return self.last

    def note_jobs(self, job_ids: Iterable[str]) -> None:
        self.known_jobs = list(dict.fromkeys([*job_ids, *self.known_jobs]))

    def jobs(self) -> Sequence[str]:
        return self.known_jobs

    def note_systems(self, systems: Iterable[str]) -> None:
        self.known_systems |= set(systems)

    def systems(self) -> Sequence[str]:
        return sorted(self.known_systems)
