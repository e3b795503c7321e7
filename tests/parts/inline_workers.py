"""Provide workers that do everything at once and in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from attrs import frozen

from cloudq.ports.workers import Lane

T = TypeVar("T")
R = TypeVar("R")


@frozen
class _Outcome(Generic[R]):
    value: R | None
    error: Exception | None

    def is_done(self) -> bool:
        return True

    def wait(self, seconds: float) -> None:
        """Do nothing: the work is done already."""

    def result(self) -> R:
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # set whenever there is no error


@frozen
class InlineWorkers:
    """Workers that do everything at once and in order."""

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        return [work(item) for item in items]

    def start(self, work: Callable[[], R], lane: Lane) -> _Outcome[R]:
        try:
            return _Outcome(work(), None)
        except Exception as error:  # noqa: BLE001 (kept for the caller of `result`)
            return _Outcome(None, error)
