"""What only an examination asks about a whole bucket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from cloudq.domain.stores.bucket_settings import BucketSettings
from cloudq.ports.object_store import UnfinishedUpload


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

    def unfinished_uploads(self, older_than_s: float) -> Sequence[UnfinishedUpload]:
        """Return unfinished uploads of job files that began at least *older_than_s* seconds ago.

        Their age is that by the store's clock. Raises `StoreRefused` if the service does not list them.
        """
        ...

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Remove the parts of *upload*."""
        ...
