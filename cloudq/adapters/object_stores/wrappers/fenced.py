"""A store that stops writing once the writer may no longer act (protocol 6.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attrs import frozen

from cloudq.domain.errors import LeaseLost
from cloudq.ports.object_store import (
    MAX_CONTROL_BYTES,
    ListPage,
    ObjectStore,
    StoredObject,
    Unchanged,
    UnfinishedUpload,
    forget_progress,
)


@frozen
class FencedStore:
    """A store that passes everything on to *inner*, but raises `LeaseLost` for writes unless *may_write*."""

    inner: ObjectStore
    may_write: Callable[[], bool]

    def _check(self) -> None:
        if not self.may_write():
            raise LeaseLost("The lease could not be renewed in time: nothing is written until it is renewed.")

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        return self.inner.get(key, max_bytes=max_bytes)

    def get_if_changed(
        self, key: str, etag: str, *, max_bytes: int = MAX_CONTROL_BYTES
    ) -> StoredObject | Unchanged:
        return self.inner.get_if_changed(key, etag, max_bytes=max_bytes)

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        return self.inner.list_page(prefix, start_after=start_after, delimiter=delimiter, limit=limit)

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

    def put(self, key: str, body: bytes) -> str:
        self._check()
        return self.inner.put(key, body)

    def put_if_absent(self, key: str, body: bytes) -> str:
        self._check()
        return self.inner.put_if_absent(key, body)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        self._check()
        return self.inner.put_if_match(key, body, etag)

    def delete(self, keys: Sequence[str]) -> None:
        self._check()
        self.inner.delete(keys)

    def upload(self, key: str, source: Path) -> None:
        self._check()
        self.inner.upload(key, source)

    def upload_pieces(self, key: str, pieces: Iterator[bytes], *, expected_bytes: int = 0) -> int:
        self._check()
        return self.inner.upload_pieces(key, self._guarded(pieces), expected_bytes=expected_bytes)

    def unfinished_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
        return self.inner.unfinished_uploads(prefix)

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        self._check()
        self.inner.abort_upload(upload)

    def _guarded(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the pieces and check again, so that no upload completes after the lease was lost."""
        yield from pieces
        self._check()
