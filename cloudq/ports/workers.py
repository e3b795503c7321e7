"""Doing several things at once, a bounded number of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Lane(Enum):
    """A kind of background work. Each lane has workers of its own: none waits for another lane."""

    SUBMIT = "submit"
    """Submit commands and the questions of a recovery."""
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
        """Whether it ended, one way or the other."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait until it is done, *seconds* at most."""
        ...

    def result(self) -> R_co:
        """What it returned, once it is done; raises what it raised."""
        ...


class Workers(Protocol):
    """A bounded number of workers."""

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Do *work* for every item; return all results in order once all have ended.

        If any raised, one of their exceptions is raised after all have ended.
        """
        ...

    def start(self, work: Callable[[], R], lane: Lane) -> Started[R]:
        """Begin *work* as soon as its lane has a free worker, and return at once."""
        ...
