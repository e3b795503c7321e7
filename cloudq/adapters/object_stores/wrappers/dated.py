"""A wrapper that compares the store's clock with this machine's, by dates of answers (protocol 6.8)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from attrs import define, field

from cloudq.adapters.object_stores.wrappers.passing_on import PassingOn
from cloudq.domain.errors import StoreProblem
from cloudq.ports.clock import Clock
from cloudq.ports.object_store import MAX_CONTROL_BYTES, ListPage, ObjectStore, StoredObject, Unchanged

SLOW_S = 15.0
"""An answer that took longer counts as if it had been requested this long before it arrived."""
REMEMBERED = 64
"""The number of answers from which the most advanced front end is determined."""

Answer = TypeVar("Answer", StoredObject, ListPage, StoredObject | Unchanged)


@define
class DatedStore(PassingOn):
    """A store that passes everything on to *inner* and records each Date; also the port `StoreTime`.

    The store dates an answer between its request and its arrival. So the time of the request gives the
    most by which the store's clock may be ahead, and the time of the arrival the least. Front ends of
    one store may differ: the mark is that of the most advanced one among the last answers. An answer
    that took minutes proves little: it must not hide a pause of minutes.
    """

    inner: ObjectStore
    clock: Clock
    _most: deque[float] = field(factory=lambda: deque(maxlen=REMEMBERED), init=False)
    _least: float | None = field(default=None, init=False)
    """The least by which the store's clock is ahead, by the newest answer."""

    def mark(self) -> float | None:
        return max(tuple(self._most), default=None)

    def passed_unseen_s(self, mark: float | None) -> float:
        least = self._least
        return 0.0 if mark is None or least is None else max(0.0, least - mark)

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        return self._noted(lambda: self.inner.get(key, max_bytes=max_bytes))

    def get_if_changed(
        self, key: str, etag: str, *, max_bytes: int = MAX_CONTROL_BYTES
    ) -> StoredObject | Unchanged:
        return self._noted(lambda: self.inner.get_if_changed(key, etag, max_bytes=max_bytes))

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        return self._noted(
            lambda: self.inner.list_page(prefix, start_after=start_after, delimiter=delimiter, limit=limit)
        )

    def _noted(self, ask: Callable[[], Answer]) -> Answer:
        asked_at = self.clock.elapsed()
        try:
            answer = ask()
        except StoreProblem as problem:  # that an object does not exist is an answer, too
            self._note(problem.date, asked_at)
            raise
        self._note(answer.date, asked_at)
        return answer

    def _note(self, date: datetime | None, asked_at: float) -> None:
        if date is None:
            return
        came_at = self.clock.elapsed()
        self._most.append(date.timestamp() - max(asked_at, came_at - SLOW_S))
        self._least = date.timestamp() - came_at
