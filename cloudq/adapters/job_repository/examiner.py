"""Probes of a bucket under separate keys, and a survey of all jobs in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from attrs import frozen

from cloudq.adapters.job_repository import keys
from cloudq.adapters.job_repository.history_keys import parse_history_key
from cloudq.adapters.job_repository.records import pages
from cloudq.domain.errors import (
    ObjectNotFound,
    OutcomeUnknown,
    PreconditionFailed,
    StoreRefused,
    StoreUnavailable,
    WriteConflict,
)
from cloudq.ports.clock import IdSource
from cloudq.ports.object_store import ListPage, ObjectStore, UnfinishedUpload
from cloudq.ports.store_examiner import ProbePlace, StrayJob, Survey
from cloudq.ports.workers import Workers

KEYS_A_REQUEST = 1000


@frozen
class BucketExaminer:
    """The port `StoreExaminer` over any `ObjectStore`."""

    store: ObjectStore
    ids: IdSource

    def place(self) -> ProbePlace:
        return ProbePlace(self.ids.nonce())

    def store_time(self) -> datetime:
        return self.store.list_page(keys.PROBES, limit=1).date

    def write(self, place: ProbePlace, name: str, word: str) -> str:
        return self.store.put(keys.doctor_probe(place.name, name), word.encode())

    def read(self, place: ProbePlace, name: str) -> str:
        key = keys.doctor_probe(place.name, name)
        try:
            return self.store.get(key).body.decode("utf-8", "replace")
        except ObjectNotFound as error:
            raise StoreRefused(f"{key} was written but cannot be found") from error

    def create(self, place: ProbePlace, name: str, word: str) -> bool:
        key = keys.doctor_probe(place.name, name)
        try:
            self.store.put_if_absent(key, word.encode())
        except PreconditionFailed:
            return False
        except (OutcomeUnknown, WriteConflict) as error:
            return self._settled(place, name, word, error)
        return True

    def _settled(self, place: ProbePlace, name: str, word: str, error: Exception) -> bool:
        """Read back whether this write was first. Raises `StoreUnavailable` if the object is absent."""
        try:
            return self.store.get(keys.doctor_probe(place.name, name)).body == word.encode()
        except ObjectNotFound:
            raise StoreUnavailable(str(error)) from error

    def rewrite(self, place: ProbePlace, name: str, word: str, etag: str) -> str | None:
        try:
            return self.store.put_if_match(keys.doctor_probe(place.name, name), word.encode(), etag)
        except PreconditionFailed:
            return None
        except WriteConflict as error:
            raise StoreUnavailable(str(error)) from error

    def names(self, place: ProbePlace, page: int) -> Iterator[str]:
        prefix = keys.doctor_probes(place.name)
        for listing in pages(self.store, prefix, limit=page):
            yield from (listed.key.removeprefix(prefix) for listed in listing.objects)

    def delete(self, place: ProbePlace, name: str) -> None:
        self.store.delete([keys.doctor_probe(place.name, name)])

    def remove(self, place: ProbePlace) -> None:
        self._delete([keys.doctor_probe(place.name, name) for name in self.names(place, KEYS_A_REQUEST)])

    def remove_leftovers(self, older_than_s: float) -> int:
        old = [
            listed.key
            for page in pages(self.store, keys.PROBES)
            for listed in page.objects
            if (page.date - listed.last_modified).total_seconds() > older_than_s
        ]
        self._delete(old)
        return len(old)

    def unfinished_uploads(self, older_than_s: float) -> list[UnfinishedUpload]:
        # The bucket may also hold files of others: only keys that cloudq makes are considered.
        return [
            upload
            for upload in self.store.unfinished_uploads(keys.JOBS)
            if upload.age_s > older_than_s and keys.split_job_key(upload.key) is not None
        ]

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        self.store.abort_upload(upload)

    def _delete(self, doomed: list[str]) -> None:
        if doomed:
            self.store.delete(doomed)


@frozen
class BucketSurveyor:
    """The port `JobSurveyor` over any `ObjectStore`."""

    store: ObjectStore
    workers: Workers

    def survey(self) -> Survey:
        # A job has a queue entry until it is in the history: in this order, each job is found in one of them.
        queued = frozenset(self._queued())
        finished = frozenset(self._finished())
        known = frozenset(self._known())
        stray = self.workers.map(self._stray, sorted(known - finished - queued))
        return Survey(
            finished=finished,
            stray=tuple(each for each in stray if each is not None),
            ghosts=tuple(sorted(finished - known)),
            unknown=queued - known - finished,
        )

    def _finished(self) -> Iterator[str]:
        for page in pages(self.store, keys.HISTORY):
            entries = (parse_history_key(listed.key) for listed in page.objects)
            yield from (entry.job_id for entry in entries if entry is not None)

    def _known(self) -> Iterator[str]:
        for page in pages(self.store, keys.JOBS, delimiter="/"):
            splits = (keys.split_job_key(prefix) for prefix in page.prefixes)
            yield from (split[0] for split in splits if split is not None)

    def _queued(self) -> Iterator[str]:
        """Yield the ids with a queue entry; a request alone invites no system."""
        for page in pages(self.store, keys.QUEUES):
            found = (keys.split_queue_key(listed.key) for listed in page.objects)
            yield from (key.tag.job_id for key in found if key is not None and not key.request)

    def _stray(self, job_id: str) -> StrayJob | None:
        newest: float | None = None
        for page in pages(self.store, keys.job(job_id)):
            ages = {listed.key: _age_s(page, listed.last_modified) for listed in page.objects}
            if keys.manifest(job_id) in ages:
                return StrayJob(job_id, has_manifest=True, age_s=ages[keys.manifest(job_id)])
            newest = min([*ages.values(), *([] if newest is None else [newest])], default=None)
        return None if newest is None else StrayJob(job_id, has_manifest=False, age_s=newest)


def _age_s(page: ListPage, written: datetime) -> float:
    return max(0.0, (page.date - written).total_seconds())
