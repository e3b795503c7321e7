"""The requests to the store that only an examination makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from cloudq.domain.stores.bucket_settings import BucketSettings
from cloudq.ports.object_store import UnfinishedUpload


@frozen
class ProbePlace:
    """A place in the bucket that belongs to one examination."""

    name: str


class StoreExaminer(Protocol):
    """Single requests on keys that belong to the examination.

    All methods may raise `StoreUnavailable` (also if an outcome stays unknown) and `StoreRefused`.
    """

    def place(self) -> ProbePlace:
        """Return a place where no other process writes. Sends no request."""
        ...

    def store_time(self) -> datetime:
        """Return the time by the store's clock."""
        ...

    def write(self, place: ProbePlace, name: str, word: str) -> str:
        """Write *word*, whatever was there before; return the ETag."""
        ...

    def read(self, place: ProbePlace, name: str) -> str:
        """Read the word."""
        ...

    def create(self, place: ProbePlace, name: str, word: str) -> bool:
        """Write *word* if *name* is absent; return whether the store answers that this call created it."""
        ...

    def rewrite(self, place: ProbePlace, name: str, word: str, etag: str) -> str | None:
        """Rewrite the object with *etag*; return its new ETag, or None if the store reports another one."""
        ...

    def names(self, place: ProbePlace, page: int) -> Iterator[str]:
        """Yield the names under *place*, listed *page* at a time."""
        ...

    def delete(self, place: ProbePlace, name: str) -> None:
        """Delete *name* under *place*."""
        ...

    def remove(self, place: ProbePlace) -> None:
        """Delete everything under *place*."""
        ...

    def remove_leftovers(self, older_than_s: float) -> int:
        """Delete the leftovers of interrupted examinations; return the number of objects."""
        ...

    def unfinished_uploads(self, older_than_s: float) -> Sequence[UnfinishedUpload]:
        """Return unfinished uploads of job files that began at least *older_than_s* seconds ago.

        Their age is that by the store's clock. Raises `StoreRefused` if the service does not list them.
        """
        ...

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Remove the parts of *upload*."""
        ...


class SettingsReader(Protocol):
    """A reader of the settings of a bucket. May raise `StoreUnavailable`."""

    def settings(self) -> BucketSettings:
        """Return the settings of the bucket's owner; they name each setting that could not be read."""
        ...


@frozen
class StrayJob:
    """A job that is neither in the history nor in any queue."""

    job_id: str
    has_manifest: bool
    age_s: float
    """Seconds by the store's clock since its manifest, or without one its newest object, was written."""


@frozen
class Survey:
    """The jobs of the bucket, grouped by what exists of them. Ids are in ascending order."""

    finished: frozenset[str]
    """Jobs in the history."""
    stray: tuple[StrayJob, ...]
    ghosts: tuple[str, ...]
    """Jobs in the history of which nothing else exists."""
    unknown: frozenset[str]
    """Jobs in a queue of which nothing else exists."""


class JobSurveyor(Protocol):
    """A survey of the whole bucket that reads no record."""

    def survey(self) -> Survey:
        """Return the survey: one walk through ids, one through history and queues, one LIST per stray job."""
        ...
