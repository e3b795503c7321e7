"""The base class of stores that wrap another one and change some of its requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cloudq.ports.object_store import (
    MAX_CONTROL_BYTES,
    ListPage,
    ObjectStore,
    StoredObject,
    Unchanged,
    UnfinishedUpload,
    forget_progress,
)


class PassingOn:
    """An `ObjectStore` that passes every request on to *inner*; subclasses override some of them."""

    __slots__ = ()
    inner: ObjectStore

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        return self.inner.get(key, max_bytes=max_bytes)

    def get_if_changed(
        self, key: str, etag: str, *, max_bytes: int = MAX_CONTROL_BYTES
    ) -> StoredObject | Unchanged:
        return self.inner.get_if_changed(key, etag, max_bytes=max_bytes)

    def put(self, key: str, body: bytes) -> str:
        return self.inner.put(key, body)

    def put_if_absent(self, key: str, body: bytes) -> str:
        return self.inner.put_if_absent(key, body)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        return self.inner.put_if_match(key, body, etag)

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        return self.inner.list_page(prefix, start_after=start_after, delimiter=delimiter, limit=limit)

    def delete(self, keys: Sequence[str]) -> None:
        self.inner.delete(keys)

    def upload(self, key: str, source: Path) -> None:
        self.inner.upload(key, source)

    def upload_pieces(self, key: str, pieces: Iterator[bytes], *, expected_bytes: int = 0) -> int:
        return self.inner.upload_pieces(key, pieces, expected_bytes=expected_bytes)

    def unfinished_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
        return self.inner.unfinished_uploads(prefix)

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        self.inner.abort_upload(upload)

    def download(
        self,
        key: str,
        target: Path,
        *,
        max_bytes: int | None = None,
        note: Callable[[int], object] = forget_progress,
    ) -> int:
        return self.inner.download(key, target, max_bytes=max_bytes, note=note)

    def read(self, key: str) -> Iterator[bytes]:
        return self.inner.read(key)
