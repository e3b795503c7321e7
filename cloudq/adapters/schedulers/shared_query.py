"""Share one query among all threads that need it at the same time."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from attrs import define, field

from cloudq.domain.errors import SchedulerUnavailable

T = TypeVar("T")


@define(eq=False)
class SharedQuery(Generic[T]):
    """Runs one query at a time; all callers that asked before a query began share its result.

    No caller gets an answer that is older than its question. A failure is shared, too: if a query hangs,
    the callers that share it do not each wait for another one.
    """

    _ask: Callable[[], T]
    _turn: Lock = field(factory=Lock, init=False)
    _counting: Lock = field(factory=Lock, init=False)
    _asked: int = field(default=0, init=False)
    _served: int = field(default=0, init=False)
    """The number of the last question that `_answer` answers, or that failed with `_problem`."""
    _answer: T | None = field(default=None, init=False)
    _problem: str = field(default="", init=False)

    def __call__(self) -> T:
        """Return the answer. Raises `SchedulerUnavailable`."""
        with self._counting:
            self._asked += 1
            number = self._asked
        with self._turn:
            if self._served < number:
                self._ask_for_all()
            if self._problem:
                raise SchedulerUnavailable(self._problem)
            return self._answer  # type: ignore[return-value]

    def _ask_for_all(self) -> None:
        with self._counting:
            served = self._asked
        try:
            self._answer, self._problem = self._ask(), ""
        except SchedulerUnavailable as error:
            self._answer, self._problem = None, str(error)
        self._served = served
