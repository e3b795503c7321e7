"""A bucket in memory: for tests, examples and simulations."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import frozen

from cloudq.adapters.filesystem import noted, write_new_file
from cloudq.adapters.object_stores.key_rules import key_parts
from cloudq.adapters.object_stores.paging import page_of
from cloudq.adapters.object_stores.streams import PIECE_BYTES, at_most, too_large
from cloudq.domain.errors import ObjectNotFound, PreconditionFailed
from cloudq.ports.object_store import (
    MAX_CONTROL_BYTES,
    ListedObject,
    ListPage,
    StoredObject,
    Unchanged,
    UnfinishedUpload,
    forget_progress,
)


@frozen
class _Held:
    body: bytes
    etag: str
    last_modified: datetime


class MemoryStore:
    """An implementation of the port `ObjectStore` in memory; any number of threads may use it.

    As on S3, an ETag depends on the content alone: the same bytes written again have the same ETag. A deep
    copy is an independent bucket with the same objects and the same clock.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> MemoryStore:
        copied = MemoryStore(self._now)
        with self._lock:
            copied._held = dict(self._held)
        memo[id(self)] = copied
        return copied

    def snapshot(self) -> Mapping[str, bytes]:
        """Return all objects, by key in order."""
        with self._lock:
            return {key: self._held[key].body for key in sorted(self._held)}

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        held = self._find(key)
        if len(held.body) > max_bytes:
            raise too_large(key, max_bytes)
        return StoredObject(key, held.body, held.etag, held.last_modified, self._now())

    def get_if_changed(
        self, key: str, etag: str, *, max_bytes: int = MAX_CONTROL_BYTES
    ) -> StoredObject | Unchanged:
        stored = self.get(key, max_bytes=max_bytes)
        return Unchanged(etag, stored.date) if stored.etag == etag else stored

    def put(self, key: str, body: bytes) -> str:
        key_parts(key)
        with self._lock:
            return self._hold(key, body)

    def put_if_absent(self, key: str, body: bytes) -> str:
        key_parts(key)
        with self._lock:
            if key in self._held:
                raise PreconditionFailed(f"{key} exists")
            return self._hold(key, body)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        key_parts(key)
        with self._lock:
            held = self._held.get(key)
            if held is None or held.etag != etag:
                raise PreconditionFailed(f"{key} is gone or was rewritten")
            return self._hold(key, body)

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        with self._lock:
            held = dict(self._held)
        # Python orders text by code points, which is the order of its UTF-8 bytes.
        keys = sorted(key for key in held if key.startswith(prefix) and key > start_after)

        def describe(key: str) -> ListedObject:
            return ListedObject(key, len(held[key].body), held[key].last_modified)

        return page_of(keys, describe, prefix=prefix, delimiter=delimiter, limit=limit, date=self._now())

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            key_parts(key)
        with self._lock:
            for key in keys:
                self._held.pop(key, None)

    def upload(self, key: str, source: Path) -> None:
        self.put(key, source.read_bytes())

    def upload_pieces(self, key: str, pieces: Iterator[bytes], *, expected_bytes: int = 0) -> int:  # noqa: ARG002
        body = b"".join(pieces)
        self.put(key, body)
        return len(body)

    def unfinished_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:  # noqa: ARG002
        return iter(())  # every write here is atomic

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Do nothing: there are no unfinished uploads."""

    def download(
        self,
        key: str,
        target: Path,
        *,
        max_bytes: int | None = None,
        note: Callable[[int], object] = forget_progress,
    ) -> int:
        return write_new_file(target, noted(at_most(self.read(key), max_bytes, key), note))

    def read(self, key: str) -> Iterator[bytes]:
        body = self._find(key).body
        for start in range(0, len(body), PIECE_BYTES):
            yield body[start : start + PIECE_BYTES]

    def _find(self, key: str) -> _Held:
        key_parts(key)
        with self._lock:
            held = self._held.get(key)
        if held is None:
            raise ObjectNotFound(key, self._now())
        return held

    def _hold(self, key: str, body: bytes) -> str:
        etag = hashlib.sha256(body).hexdigest()[:32]
        self._held[key] = _Held(bytes(body), etag, self._now())
        return etag
