"""A store whose conditions do not work, in one way or another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import define

from cloudq.domain.errors import PreconditionFailed
from cloudq.ports.object_store import MAX_CONTROL_BYTES, ListPage, ObjectStore, StoredObject, Unchanged

CREATE, REPLACE = "put_if_absent", "put_if_match"


@define
class WeakStore:
    """Passes everything on to *inner*; conditions of *ignored* writes are taken and ignored."""

    inner: ObjectStore
    ignored: tuple[str, ...] = (CREATE, REPLACE)
    refused: tuple[str, ...] = ()
    """Writes that nobody ever wins."""

    def put_if_absent(self, key: str, body: bytes) -> str:
        if CREATE in self.refused:
            raise PreconditionFailed(key)
        return self.inner.put(key, body) if CREATE in self.ignored else self.inner.put_if_absent(key, body)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        if REPLACE in self.refused:
            raise PreconditionFailed(key)
        if REPLACE in self.ignored:
            return self.inner.put(key, body)
        return self.inner.put_if_match(key, body, etag)

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        return self.inner.get(key, max_bytes=max_bytes)

    def get_if_changed(
        self, key: str, etag: str, *, max_bytes: int = MAX_CONTROL_BYTES
    ) -> StoredObject | Unchanged:
        return self.inner.get_if_changed(key, etag, max_bytes=max_bytes)

    def put(self, key: str, body: bytes) -> str:
        return self.inner.put(key, body)

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
