"""Provide a bucket whose LIST shows an older state, as that of some stores does."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import timedelta

from cloudq.ports.object_store import ListPage
from cloudq.testing.fake_clock import FakeClock
from cloudq.testing.memory_store import MemoryStore


class LateListStore(MemoryStore):
    """A store whose reads see every write at once, and whose LIST sees it *lag_s* seconds later."""

    def __init__(self, clock: FakeClock, lag_s: float) -> None:
        super().__init__(clock.now)
        self.lag = timedelta(seconds=lag_s)
        self._shown = MemoryStore(clock.now)
        self._changes: deque[tuple[object, str, object]] = deque()

    def _hold(self, key: str, body: bytes) -> str:
        etag = super()._hold(key, body)
        self._changes.append((self._now(), key, self._held[key]))
        return etag

    def delete(self, keys: Sequence[str]) -> None:
        super().delete(keys)
        self._changes.extend((self._now(), key, None) for key in keys)

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        until = self._now() - self.lag
        while self._changes and self._changes[0][0] <= until:  # type: ignore[operator]
            _, key, held = self._changes.popleft()
            if held is None:
                self._shown._held.pop(key, None)
            else:
                self._shown._held[key] = held  # type: ignore[assignment]
        return self._shown.list_page(prefix, start_after=start_after, delimiter=delimiter, limit=limit)
