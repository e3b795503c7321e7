"""A store whose next guarded writes go wrong in a way that a test chooses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attrs import define, field

from cloudq.domain.errors import OutcomeUnknown, PreconditionFailed, WriteConflict
from cloudq.ports.object_store import MAX_CONTROL_BYTES, ListPage, ObjectStore, StoredObject, Unchanged

Write = Callable[[], str]
Fault = Callable[[Write], str]


def lost_request(_: Write) -> str:
    """The request never reached the store; nobody can know."""
    raise OutcomeUnknown("no answer")


def lost_answer(write: Write) -> str:
    """The store did as it was asked; its answer was lost."""
    write()
    raise OutcomeUnknown("no answer")


def lost_answer_then_412(write: Write) -> str:
    """As `lost_answer`, but the store's own client asked again and was told that the key exists."""
    write()
    raise PreconditionFailed("412")


def conflict(_: Write) -> str:
    """409: two writes at once, neither decided."""
    raise WriteConflict("409")


@define
class FaultyStore:
    """Passes everything on to *inner*; each guarded write takes the next of *faults*, if any."""

    inner: ObjectStore
    faults: deque[Fault] = field(factory=deque)
    get_fault: Exception | None = None

    def _guarded(self, write: Write) -> str:
        return self.faults.popleft()(write) if self.faults else write()

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        if self.get_fault is not None:
            raise self.get_fault
        return self.inner.get(key, max_bytes=max_bytes)

    def get_if_changed(
        self, key: str, etag: str, *, max_bytes: int = MAX_CONTROL_BYTES
    ) -> StoredObject | Unchanged:
        return self.inner.get_if_changed(key, etag, max_bytes=max_bytes)

    def put(self, key: str, body: bytes) -> str:
        return self.inner.put(key, body)

    def put_if_absent(self, key: str, body: bytes) -> str:
        return self._guarded(lambda: self.inner.put_if_absent(key, body))

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        return self._guarded(lambda: self.inner.put_if_match(key, body, etag))

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        return self.inner.list_page(prefix, start_after=start_after, delimiter=delimiter, limit=limit)

    def delete(self, keys: Sequence[str]) -> None:
        self.inner.delete(keys)

    def upload(self, key: str, source: Path) -> None:
        self.inner.upload(key, source)

    def download(self, key: str, target: Path, *, max_bytes: int | None = None) -> int:
        return self.inner.download(key, target, max_bytes=max_bytes)

    def read(self, key: str) -> Iterator[bytes]:
        return self.inner.read(key)
