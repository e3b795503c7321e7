"""Provide a store that counts requests as a provider bills them, and keeps their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attrs import define, field

from cloudq.ports.object_store import (
    MAX_CONTROL_BYTES,
    ListPage,
    ObjectStore,
    StoredObject,
    Unchanged,
    UnfinishedUpload,
    forget_progress,
)


@define
class CountingStore:
    """A store that passes every request on to *inner*.

    ``requests`` contains (kind, key or prefix) in order. The kinds are PUT, GET, LIST, DELETE (one key)
    and POST (up to 1,000 keys to delete at once). ``limits`` contains the page size that each LIST
    requested.
    """

    inner: ObjectStore
    requests: list[tuple[str, str]] = field(factory=list)
    deleted: list[str] = field(factory=list)
    limits: list[int] = field(factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of requests of each kind; kinds without a request are left out."""
        return dict(Counter(kind for kind, _ in self.requests))

    def reset(self) -> None:
        """Start counting from zero."""
        self.requests.clear()
        self.deleted.clear()
        self.limits.clear()

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        self.requests.append(("GET", key))
        return self.inner.get(key, max_bytes=max_bytes)

    def get_if_changed(
        self, key: str, etag: str, *, max_bytes: int = MAX_CONTROL_BYTES
    ) -> StoredObject | Unchanged:
        self.requests.append(("GET", key))
        return self.inner.get_if_changed(key, etag, max_bytes=max_bytes)

    def put(self, key: str, body: bytes) -> str:
        self.requests.append(("PUT", key))
        return self.inner.put(key, body)

    def put_if_absent(self, key: str, body: bytes) -> str:
        self.requests.append(("PUT", key))
        return self.inner.put_if_absent(key, body)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        self.requests.append(("PUT", key))
        return self.inner.put_if_match(key, body, etag)

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        self.requests.append(("LIST", prefix))
        self.limits.append(limit)
        return self.inner.list_page(prefix, start_after=start_after, delimiter=delimiter, limit=limit)

    def delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), 1000):
            batch = keys[start : start + 1000]
            self.requests.append(("DELETE" if len(batch) == 1 else "POST", batch[0]))
        self.deleted.extend(keys)
        self.inner.delete(keys)

    def upload(self, key: str, source: Path) -> None:
        self.requests.append(("PUT", key))
        self.inner.upload(key, source)

    def upload_pieces(self, key: str, pieces: Iterator[bytes], *, expected_bytes: int = 0) -> int:
        self.requests.append(("PUT", key))
        return self.inner.upload_pieces(key, pieces, expected_bytes=expected_bytes)

    def unfinished_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
        self.requests.append(("LIST", prefix))
        return self.inner.unfinished_uploads(prefix)

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        self.requests.append(("DELETE", upload.key))
        self.inner.abort_upload(upload)

    def download(
        self,
        key: str,
        target: Path,
        *,
        max_bytes: int | None = None,
        note: Callable[[int], object] = forget_progress,
    ) -> int:
        self.requests.append(("GET", key))
        return self.inner.download(key, target, max_bytes=max_bytes, note=note)

    def read(self, key: str) -> Iterator[bytes]:
        self.requests.append(("GET", key))
        return self.inner.read(key)
