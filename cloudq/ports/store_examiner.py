"""What an examination needs of the store besides what cloudq does with it every day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from cloudq.domain.stores.bucket_settings import BucketSettings
from cloudq.ports.object_store import UnfinishedUpload


@frozen
class ProbePlace:
    """A place in the bucket that one examination has for itself."""

    name: str


class StoreExaminer(Protocol):
    """Single requests on keys of the examination's own.

    All may raise `StoreUnavailable` (also where an outcome stays unknown) and `StoreRefused`.
    """

    def place(self) -> ProbePlace:
        """A place where nobody else writes. No request."""
        ...

    def store_time(self) -> datetime:
        """What time it is by the store's clock."""
        ...

    def write(self, place: ProbePlace, name: str, word: str) -> str:
        """Write *word*, whatever was there; return the ETag."""
        ...

    def read(self, place: ProbePlace, name: str) -> str:
        """Read the word."""
        ...

    def create(self, place: ProbePlace, name: str, word: str) -> bool:
        """Create it if it is absent; whether the store says that this call did."""
        ...

    def rewrite(self, place: ProbePlace, name: str, word: str, etag: str) -> str | None:
        """Rewrite what has *etag*; the new ETag, None if the store said that it has another."""
        ...

    def names(self, place: ProbePlace, page: int) -> Iterator[str]:
        """The names under *place*, listed *page* at a time."""
        ...

    def delete(self, place: ProbePlace, name: str) -> None:
        """Delete one of them."""
        ...

    def remove(self, place: ProbePlace) -> None:
        """Delete everything under *place*."""
        ...

    def remove_leftovers(self, older_than_s: float) -> int:
        """Delete what examinations left that were cut short; how many objects it was."""
        ...

    def unfinished_uploads(self, older_than_s: float) -> Sequence[UnfinishedUpload]:
        """Uploads of jobs' files that were begun so long ago, by the store's clock, and not completed.

        Raises `StoreRefused` where the service does not list them.
        """
        ...

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Remove its parts."""
        ...


class SettingsReader(Protocol):
    """Reads the settings of a bucket. May raise `StoreUnavailable`."""

    def settings(self) -> BucketSettings:
        """What the bucket's owner has set; what could not be read is told as such."""
        ...


@frozen
class StrayJob:
    """A job that is neither in the history nor in any queue."""

    job_id: str
    has_manifest: bool
    age_s: float
    """Since its manifest, or its newest object if there is none, was written, by the store's clock."""


@frozen
class Survey:
    """The bucket's jobs, by what is there of them. Ids in ascending order."""

    finished: frozenset[str]
    """In the history."""
    stray: tuple[StrayJob, ...]
    ghosts: tuple[str, ...]
    """In the history, and nothing else is there of them."""
    unknown: frozenset[str]
    """In a queue, and nothing else is there of them."""


class JobSurveyor(Protocol):
    """Looks at the whole bucket, without reading a record."""

    def survey(self) -> Survey:
        """One walk through all ids, one through the history and the queues, one LIST a stray job."""
        ...
