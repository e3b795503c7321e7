"""Concurrent work by a bounded number of workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Lane(Enum):
    """A kind of background work. Each lane has its own workers, so none waits for another lane."""

    SUBMIT = "submit"
    """Submit commands and the queries of a recovery."""
    POLL = "poll"
    """The query for the states of all jobs."""
    PREPARE = "prepare"
    """Scripts and small inputs, which must not wait behind big ones."""
    DOWNLOAD = "download"
    """Big inputs."""
    SHIP = "ship"
    """Pieces of logs that still grow."""
    STAGE_OUT = "stage out"
    """Logs and outputs of ended jobs."""


class Started(Protocol[R_co]):
    """Work that was started and may still run."""

    def is_done(self) -> bool:
        """Return whether the work has ended, successfully or not."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait until it is done, *seconds* at most."""
        ...

    def result(self) -> R_co:
        """Return the result once the work is done; raise what it raised."""
        ...


class Workers(Protocol):
    """A bounded number of workers."""

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Run *work* on every item; return all results in order after all have ended.

        If any raised, one of their exceptions is raised after all have ended.
        """
        ...

    def start(self, work: Callable[[], R], lane: Lane) -> Started[R]:
        """Start *work* as soon as its lane has a free worker; return at once."""
        ...
