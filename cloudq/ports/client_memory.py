"""What a client remembers on its own machine between two commands; nothing depends on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol


class ClientMemory(Protocol):
    """The jobs and systems of one bucket that this user met on this machine.

    What cannot be kept is forgotten: no method raises.
    """

    def note_submission(self, job_id: str) -> None:
        """Remember the job as the one that was submitted last."""
        ...

    def last_submission(self) -> str | None:
        """Return the id of the job that was submitted last; None if it is not remembered."""
        ...

    def note_jobs(self, job_ids: Iterable[str]) -> None:
        """Remember jobs that a user saw, the most interesting first; only some of very many."""
        ...

    def jobs(self) -> Sequence[str]:
        """Return ids of jobs that a user may mean, the most recent first."""
        ...

    def note_systems(self, systems: Iterable[str]) -> None:
        """Remember the names of systems."""
        ...

    def systems(self) -> Sequence[str]:
        """Return the names of known systems, sorted."""
        ...


class NoMemory:
    """A memory that forgets everything."""

    def note_submission(self, job_id: str) -> None: ...

    def last_submission(self) -> str | None:
        return None

    def note_jobs(self, job_ids: Iterable[str]) -> None: ...

    def jobs(self) -> Sequence[str]:
        return ()

    def note_systems(self, systems: Iterable[str]) -> None: ...

    def systems(self) -> Sequence[str]:
        return ()


NO_MEMORY = NoMemory()
