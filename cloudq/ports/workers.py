"""Doing several things at once, a bounded number of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


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

    def start(self, work: Callable[[], R]) -> Started[R]:
        """Begin *work* and return at once."""
        ...
