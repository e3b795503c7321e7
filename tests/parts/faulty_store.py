"""Provide a store whose next guarded writes fail in a way that a test chooses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from attrs import define, field

from cloudq.adapters.object_stores.wrappers.passing_on import PassingOn
from cloudq.domain.errors import OutcomeUnknown, PreconditionFailed, WriteConflict
from cloudq.ports.object_store import MAX_CONTROL_BYTES, ObjectStore, StoredObject

Write = Callable[[], str]
Fault = Callable[[Write], str]


def lost_request(_: Write) -> str:
    """Lose the request: it never reaches the store, and the outcome is unknown."""
    raise OutcomeUnknown("no answer")


def lost_answer(write: Write) -> str:
    """Lose the answer: the store carries out the write."""
    write()
    raise OutcomeUnknown("no answer")


def lost_answer_then_412(write: Write) -> str:
    """Lose the answer as `lost_answer` does; the store's own client retries and gets a 412."""
    write()
    raise PreconditionFailed("412")


def conflict(_: Write) -> str:
    """Answer 409: of two simultaneous writes, neither is decided."""
    raise WriteConflict("409")


@define
class FaultyStore(PassingOn):
    """A store that passes requests on to *inner*; each guarded write takes the next of *faults*, if any."""

    inner: ObjectStore
    faults: deque[Fault] = field(factory=deque)
    get_fault: Exception | None = None

    def _guarded(self, write: Write) -> str:
        return self.faults.popleft()(write) if self.faults else write()

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        if self.get_fault is not None:
            raise self.get_fault
        return self.inner.get(key, max_bytes=max_bytes)

    def put_if_absent(self, key: str, body: bytes) -> str:
        return self._guarded(lambda: self.inner.put_if_absent(key, body))

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        return self._guarded(lambda: self.inner.put_if_match(key, body, etag))
