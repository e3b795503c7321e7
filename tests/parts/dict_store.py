"""Provide the smallest possible store: a dictionary that accepts any key, as S3 does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from attrs import define, field

from cloudq.domain.errors import ObjectNotFound, ObjectTooLarge, PreconditionFailed
from cloudq.ports.object_store import (
    MAX_CONTROL_BYTES,
    ListedObject,
    ListPage,
    StoredObject,
    Unchanged,
    UnfinishedUpload,
    forget_progress,
)


@define
class DictStore:
    """The port `ObjectStore` in a dictionary, for tests of code that uses a store."""

    now: Callable[[], datetime]
    objects: dict[str, tuple[bytes, datetime]] = field(factory=dict)

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        if key not in self.objects:
            raise ObjectNotFound(key)
        body, written = self.objects[key]
        if len(body) > max_bytes:
            raise ObjectTooLarge(key)
        return StoredObject(key, body, _etag(body), written, self.now())

    def get_if_changed(
        self, key: str, etag: str, *, max_bytes: int = MAX_CONTROL_BYTES
    ) -> StoredObject | Unchanged:
        found = self.get(key, max_bytes=max_bytes)
        return Unchanged(etag, found.date) if found.etag == etag else found

    def put(self, key: str, body: bytes) -> str:
        self.objects[key] = (body, self.now())
        return _etag(body)

    def put_if_absent(self, key: str, body: bytes) -> str:
        if key in self.objects:
            raise PreconditionFailed(key)
        return self.put(key, body)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        if key not in self.objects or _etag(self.objects[key][0]) != etag:
            raise PreconditionFailed(key)
        return self.put(key, body)

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        found: list[ListedObject] = []
        prefixes: list[str] = []
        for key in sorted(self.objects):
            if not key.startswith(prefix) or key <= start_after:
                continue
            head, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if len(found) + len(prefixes) == limit and prefix + head + cut not in prefixes:
                break
            if cut:
                if prefix + head + cut not in prefixes:
                    prefixes.append(prefix + head + cut)
            else:
                found.append(ListedObject(key, len(self.objects[key][0]), self.objects[key][1]))
        return ListPage(tuple(found), tuple(prefixes), self.now(), limit)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)

    def upload(self, key: str, source: Path) -> None:
        self.put(key, source.read_bytes())

    def upload_pieces(self, key: str, pieces: Iterator[bytes], *, expected_bytes: int = 0) -> int:
        body = b"".join(pieces)
        self.put(key, body)
        return len(body)

    def unfinished_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
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
        if key not in self.objects:
            raise ObjectNotFound(key)
        body = self.objects[key][0]
        if max_bytes is not None and len(body) > max_bytes:
            raise ObjectTooLarge(key)
        note(len(body))
        with target.open("xb") as file:
            return file.write(body)

    def read(self, key: str) -> Iterator[bytes]:
        if key not in self.objects:
            raise ObjectNotFound(key)
        yield self.objects[key][0]


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
