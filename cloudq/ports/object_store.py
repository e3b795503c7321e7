"""The interface to the bucket, limited to what every store has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from attrs import field, frozen

from cloudq.domain.errors import StoreRefused


@frozen
class StoredObject:
    """A small object as it was read."""

    key: str
    body: bytes
    etag: str
    last_modified: datetime
    """The time of the last write by the store's clock, UTC."""
    date: datetime
    """The time of the answer by the store's clock, UTC."""

    @property
    def age_s(self) -> float:
        """Seconds since the object was written, by the store's clock alone."""
        return max(0.0, (self.date - self.last_modified).total_seconds())


@frozen
class Unchanged:
    """The answer that an object still has the ETag of the reader's copy."""

    etag: str
    date: datetime | None = field(default=None, eq=False)
    """The time of the answer by the store's clock, UTC; None if the answer did not contain it."""


@frozen
class ListedObject:
    """A key, with what a LIST shows about its object."""

    key: str
    size: int
    last_modified: datetime


@frozen
class UnfinishedUpload:
    """A multipart upload that was neither completed nor aborted. Its parts cost as much as objects."""

    key: str
    id: str
    age_s: float
    """Seconds since the upload began, by the store's clock alone."""


@frozen
class ListPage:
    """One page of a LIST, keys and prefixes each in ascending order of UTF-8 bytes."""

    objects: tuple[ListedObject, ...]
    prefixes: tuple[str, ...]
    """Common prefixes, each ending with the delimiter, if one was given."""
    date: datetime
    """The time of the answer by the store's clock, UTC."""
    limit: int

    @property
    def is_full(self) -> bool:
        """Return whether more may follow, even if the store itself calls this page the last."""
        return len(self.objects) + len(self.prefixes) >= self.limit

    @property
    def last(self) -> str:
        """The key after which the next page starts."""
        last_object = self.objects[-1].key if self.objects else ""
        last_prefix = self.prefixes[-1] + "\U0010ffff" if self.prefixes else ""
        return max(last_object, last_prefix)


MAX_CONTROL_BYTES = 8 * 1024 * 1024
"""The limit for records that cloudq reads as a whole; none is larger."""


def forget_progress(_: int) -> None:
    """Ignore the progress of a transfer."""


class ObjectStore(Protocol):
    """One bucket (and prefix) of an object store.

    Keys are relative to the prefix. Reads see the newest confirmed write. Every method may raise
    `StoreUnavailable` (no usable answer: nothing is known) and `StoreRefused` (an answer that will not
    change by itself: no such bucket, no permission). Control requests have one deadline over all their
    retries, 20 s; uploads, `download` and `read` have none.
    """

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        """Read a small object.

        Raises `ObjectNotFound`, and `ObjectTooLarge` before anything beyond *max_bytes* is
        held in memory.
        """
        ...

    def get_if_changed(
        self, key: str, etag: str, *, max_bytes: int = MAX_CONTROL_BYTES
    ) -> StoredObject | Unchanged:
        """Read a small object unless it still has *etag*. Raises like `get`."""
        ...

    def put(self, key: str, body: bytes) -> str:
        """Write an object, whatever was there before; return the new ETag."""
        ...

    def put_if_absent(self, key: str, body: bytes) -> str:
        """Create *key*; exactly one of any number of writers succeeds, and gets the ETag.

        Raises `PreconditionFailed` if the key exists, and `OutcomeUnknown` if this call may have created
        it: then the caller reads the object back and compares its nonce.
        """
        ...

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        """Replace the object that has *etag*; return the new ETag.

        Raises `PreconditionFailed` if the object is another one or gone, and `OutcomeUnknown` like
        `put_if_absent`.
        """
        ...

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        """Return one page of keys that begin with *prefix* and come after *start_after*, from one LIST."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; keys without one are no error. One request per thousand keys."""
        ...

    def upload(self, key: str, source: Path) -> None:
        """Write a file of any size, streamed."""
        ...

    def upload_pieces(self, key: str, pieces: Iterator[bytes], *, expected_bytes: int = 0) -> int:
        """Write an object of unknown size, in bounded memory; return its size.

        *expected_bytes* is an estimate, too high rather than too low. The key does not exist until all
        *pieces* were read. Exceptions from *pieces* are passed on. They are read once, so after a failed
        upload the caller must make them again.
        """
        ...

    def unfinished_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield incomplete uploads of keys that begin with *prefix*; some may be under way.

        Raises `StoreRefused` if the service does not list them.
        """
        ...

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Remove the parts of *upload*; an upload that is gone is no error."""
        ...

    def download(
        self,
        key: str,
        target: Path,
        *,
        max_bytes: int | None = None,
        note: Callable[[int], object] = forget_progress,
    ) -> int:
        """Write an object of any size to the new file *target*, streamed; return its size.

        *note* gets the number of bytes so far with each piece; it begins again if the download does.
        Raises `ObjectNotFound`, `ObjectTooLarge`; leaves no partial *target* behind.
        """
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """Yield the object's bytes in pieces, streamed. Raises `ObjectNotFound` at the first piece."""
        ...


def pages(
    store: ObjectStore, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
) -> Iterator[ListPage]:
    """Yield the pages of a LIST; after a full page, request another one, whatever the store reports.

    Raises `StoreRefused` if the store lists the same keys again, which would never end.
    """
    while True:
        page = store.list_page(prefix, start_after=start_after, delimiter=delimiter, limit=limit)
        yield page
        if not page.is_full:
            return
        if page.last <= start_after:
            raise StoreRefused(f"the store lists {prefix} repeatedly from the same key")
        start_after = page.last
