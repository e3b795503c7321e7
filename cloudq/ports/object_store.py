"""The bucket, as little of it as every store has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from attrs import field, frozen


@frozen
class StoredObject:
    """A small object as it was read."""

    key: str
    body: bytes
    etag: str
    last_modified: datetime
    """Store's clock, UTC."""
    date: datetime
    """When the store answered, by its own clock, UTC."""

    @property
    def age_s(self) -> float:
        """Seconds since the object was written, by the store's clock alone."""
        return max(0.0, (self.date - self.last_modified).total_seconds())


@frozen
class Unchanged:
    """The object still has the ETag that the reader knows."""

    etag: str
    date: datetime | None = field(default=None, eq=False)
    """When the store answered, by its own clock, UTC; None if it did not say."""


@frozen
class ListedObject:
    """A key with what a LIST tells about its object."""

    key: str
    size: int
    last_modified: datetime


@frozen
class UnfinishedUpload:
    """An upload in parts that was begun and neither completed nor aborted. Its parts cost as objects do."""

    key: str
    id: str
    age_s: float
    """Seconds since it was begun, by the store's clock alone."""


@frozen
class ListPage:
    """One page of a LIST, keys and prefixes each in ascending order of UTF-8 bytes."""

    objects: tuple[ListedObject, ...]
    prefixes: tuple[str, ...]
    """Common prefixes, each ending with the delimiter, when one was given."""
    date: datetime
    """When the store answered, by its own clock, UTC."""
    limit: int

    @property
    def is_full(self) -> bool:
        """Whether more may follow: never trust a store's own word that this was the last page."""
        return len(self.objects) + len(self.prefixes) >= self.limit

    @property
    def last(self) -> str:
        """The key to start after for the next page."""
        last_object = self.objects[-1].key if self.objects else ""
        last_prefix = self.prefixes[-1] + "\U0010ffff" if self.prefixes else ""
        return max(last_object, last_prefix)


MAX_CONTROL_BYTES = 8 * 1024 * 1024
"""No record that cloudq reads whole is larger."""


class ObjectStore(Protocol):
    """One bucket (and prefix) of an object store.

    Keys are relative to the prefix. Reads see the newest confirmed write. Every method may
    raise `StoreUnavailable` (no usable answer: nothing is known) and `StoreRefused` (an answer
    that will not change by itself: no bucket, no right). Control requests have one deadline over
    all their retries, 20 s; uploads, `download` and `read` have none.
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
        """Read a small object unless it still has *etag*. Raises as `get`."""
        ...

    def put(self, key: str, body: bytes) -> str:
        """Write whatever was there before; return the new ETag."""
        ...

    def put_if_absent(self, key: str, body: bytes) -> str:
        """Create *key*; of any number of writers exactly one succeeds, and gets the ETag.

        Raises `PreconditionFailed` if it exists, `OutcomeUnknown` if it may have been
        created by this very call: the caller reads back and compares its nonce.
        """
        ...

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        """Replace the object that has *etag*; return the new ETag.

        Raises `PreconditionFailed` if it is another one or gone, `OutcomeUnknown` as
        `put_if_absent` does.
        """
        ...

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        """One LIST of keys that begin with *prefix* and come after *start_after*."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; keys without one are no error. One request a thousand keys."""
        ...

    def upload(self, key: str, source: Path) -> None:
        """Write a file of any size, streamed."""
        ...

    def upload_pieces(self, key: str, pieces: Iterator[bytes], *, expected_bytes: int = 0) -> int:
        """Write an object of a size that nobody knows yet, in bounded memory; return its size.

        *expected_bytes* is a guess, from above where possible. Nothing has the key unless *pieces*
        came to their end. What they raise is raised; they are taken once, so an upload that broke is
        begun again by whoever can make them again.
        """
        ...

    def unfinished_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Uploads of keys that begin with *prefix* which nobody completed; some may be under way.

        Raises `StoreRefused` where the service does not list them.
        """
        ...

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Remove the parts of *upload*; one that is gone is no error."""
        ...

    def download(self, key: str, target: Path, *, max_bytes: int | None = None) -> int:
        """Write an object of any size to the new file *target*, streamed; return its size.

        Raises `ObjectNotFound`, `ObjectTooLarge`; leaves no partial *target* behind.
        """
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """The object's bytes in pieces, streamed. Raises `ObjectNotFound` at the first."""
        ...
