"""Guarded writes that find out their own outcome (protocol section 1).

A store may report a failed condition although our own first attempt succeeded and only its answer
was lost. So a writer whose condition failed reads the object back and compares the nonce.
"""

from __future__ import annotations

from cloudq.adapters.codec import nonce_of
from cloudq.domain.errors import (
    ObjectNotFound,
    ObjectTooLarge,
    OutcomeUnknown,
    PreconditionFailed,
    RecordChanged,
    RecordRejected,
    StoreUnavailable,
    WriteConflict,
)
from cloudq.ports.object_store import MAX_CONTROL_BYTES, ObjectStore, StoredObject

MAX_ATTEMPTS = 3
"""Attempts made here; each of them includes the store's own retries, up to its deadline."""

_UNDECIDED = (PreconditionFailed, OutcomeUnknown, WriteConflict)


def create(store: ObjectStore, key: str, body: bytes) -> str | StoredObject:
    """Create *key* with a record that has a nonce; return its ETag, or the object that was first."""
    for _ in range(MAX_ATTEMPTS):
        try:
            return store.put_if_absent(key, body)
        except _UNDECIDED:
            stored = _read_back(store, key)
        if stored is not None:
            return stored.etag if _is_ours(stored, body) else stored
    raise OutcomeUnknown(f"the store did not confirm whether {key} was created")


def replace(store: ObjectStore, key: str, body: bytes, etag: str) -> str:
    """Replace the record that has *etag*; return the new ETag. Raises `RecordChanged`."""
    for _ in range(MAX_ATTEMPTS):
        try:
            return store.put_if_match(key, body, etag)
        except ObjectNotFound as error:
            raise RecordChanged(f"{key} was deleted in the meantime") from error
        except _UNDECIDED:
            stored = _read_back(store, key)
        if stored is None:
            raise RecordChanged(f"{key} was deleted in the meantime")
        if _is_ours(stored, body):
            return stored.etag
        if stored.etag != etag:
            raise RecordChanged(f"{key} was rewritten by another process in the meantime")
    raise OutcomeUnknown(f"the store did not confirm whether {key} was rewritten")


def read(store: ObjectStore, key: str, max_bytes: int) -> StoredObject:
    """Read a record. Raises `ObjectNotFound`, and `RecordRejected` if it is larger than *max_bytes*."""
    try:
        return store.get(key, max_bytes=max_bytes)
    except ObjectTooLarge as error:
        raise too_large(key, max_bytes) from error


def too_large(key: str, max_bytes: int) -> RecordRejected:
    """Return the error for an object that is larger than anything that cloudq writes there."""
    return RecordRejected(f"{key} is larger than {max_bytes} bytes, the most that cloudq writes there")


def _read_back(store: ObjectStore, key: str) -> StoredObject | None:
    try:
        return store.get(key)
    except ObjectNotFound:
        return None
    except ObjectTooLarge as error:
        raise too_large(key, MAX_CONTROL_BYTES) from error
    except StoreUnavailable as error:
        raise OutcomeUnknown(f"{key} could not be read back after a write without an answer") from error


def _is_ours(stored: StoredObject, body: bytes) -> bool:
    ours = nonce_of(body)
    return bool(ours) and nonce_of(stored.body) == ours
