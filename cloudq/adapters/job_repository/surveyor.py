"""A survey of all jobs in a bucket, and of uploads that were never completed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from attrs import frozen

from cloudq.adapters.job_repository import keys
from cloudq.adapters.job_repository.history_keys import parse_history_key
from cloudq.ports.bucket_survey import StrayJob, Survey
from cloudq.ports.object_store import ListPage, ObjectStore, UnfinishedUpload, pages
from cloudq.ports.workers import Workers


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
            stray=tuple(job for job in stray if job is not None),
            ghosts=tuple(sorted(finished - known)),
            unknown=queued - known - finished,
        )

    def unfinished_uploads(self, older_than_s: float) -> list[UnfinishedUpload]:
        # The bucket may also hold files of others: only keys that cloudq makes are considered.
        return [
            upload
            for upload in self.store.unfinished_uploads(keys.JOBS)
            if upload.age_s > older_than_s and keys.split_job_key(upload.key) is not None
        ]

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        self.store.abort_upload(upload)

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
            queue_keys = (keys.split_queue_key(listed.key) for listed in page.objects)
            yield from (key.tag.job_id for key in queue_keys if key is not None and not key.request)

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
