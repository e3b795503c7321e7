"""Guarded writes on a store that ignores conditions: look, write, look again (protocol 8).

A single writer gets the same results as from a store that enforces conditions. Two writers at once
are not protected from each other: one may write between the other's look and write, and then

- both may get the result that they created the key, if each read its own bytes back in time;
- the later of two rewrites replaces the earlier one, although both expected the same object;
- a write that was delayed on its way may arrive after a newer one, and undo it.

So the caller must ensure in another way that there is only one writer per key.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from cloudq.adapters.object_stores.wrappers.passing_on import PassingOn
from cloudq.domain.errors import (
    ObjectNotFound,
    ObjectTooLarge,
    OutcomeUnknown,
    PreconditionFailed,
    StoreUnavailable,
)
from cloudq.ports.object_store import ObjectStore


def _no_check() -> None:
    return None


@frozen
class LookFirstStore(PassingOn):
    """A store that passes everything on to *inner*; while it *is_weak*, it emulates guarded writes.

    They become looks and plain writes. *look_again* is called before each of them; it raises an error
    if the writer may not write.
    """

    inner: ObjectStore
    is_weak: Callable[[], bool]
    look_again: Callable[[], object] = _no_check

    def put_if_absent(self, key: str, body: bytes) -> str:
        if not self.is_weak():
            return self.inner.put_if_absent(key, body)
        self.look_again()
        if self._body(key) is not None:
            raise PreconditionFailed(f"{key} exists")
        self._put(key, body)
        return self._read_back(key, body)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        if not self.is_weak():
            return self.inner.put_if_match(key, body, etag)
        self.look_again()
        try:
            current = self.inner.get_if_changed(key, etag)
        except (ObjectNotFound, ObjectTooLarge) as error:
            raise PreconditionFailed(f"{key} is gone or was rewritten") from error
        if current.etag != etag:
            raise PreconditionFailed(f"{key} was rewritten")
        return self._put(key, body)

    def _body(self, key: str) -> bytes | None:
        """Return the object's body: None if it is absent, empty if it is too large for a record of cloudq."""
        try:
            return self.inner.get(key).body
        except ObjectNotFound:
            return None
        except ObjectTooLarge:
            return b""

    def _put(self, key: str, body: bytes) -> str:
        try:
            return self.inner.put(key, body)
        except StoreUnavailable as error:
            raise OutcomeUnknown(f"{key} may have been written: {error}") from error

    def _read_back(self, key: str, body: bytes) -> str:
        try:
            stored = self.inner.get(key)
        except (StoreUnavailable, ObjectNotFound) as error:
            raise OutcomeUnknown(f"{key} was written and could not be read back: {error}") from error
        except ObjectTooLarge as error:
            raise PreconditionFailed(f"{key} was created by another writer") from error
        if stored.body != body:
            raise PreconditionFailed(f"{key} was created by another writer")
        return stored.etag
