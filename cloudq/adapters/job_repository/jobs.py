"""Manifests, claims and the history over any object store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from attrs import evolve, frozen

from cloudq.adapters.codec import (
    MAX_MANIFEST_BYTES,
    MAX_SMALL_RECORD_BYTES,
    decode_claim,
    decode_job,
    encode_claim,
    encode_job,
)
from cloudq.adapters.job_repository import keys
from cloudq.adapters.job_repository.history_keys import history_key, parse_history_key
from cloudq.adapters.job_repository.records import create, read, replace, too_large
from cloudq.adapters.job_repository.sweep import sweep_history, sweep_job
from cloudq.domain.errors import (
    ClaimMissing,
    JobIdTaken,
    JobNotFound,
    JobStateConflict,
    ObjectNotFound,
    ObjectTooLarge,
    RecordChanged,
    RecordRejected,
)
from cloudq.domain.jobs.claim import Claim
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job import Job, StoredJob
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import IdSource
from cloudq.ports.job_repository import ClaimResult, keep_none
from cloudq.ports.object_store import ObjectStore, StoredObject, Unchanged, pages

FULL_PAGE = 1000
MAX_CLAIMS_WALKED = 1000
"""The limit for one search: an endless series of claims must not stop an agent."""


@frozen
class BucketJobRepository:
    """The port `JobRepository` over any `ObjectStore`."""

    store: ObjectStore
    ids: IdSource

    def reserve(self, job: Job) -> StoredJob:
        """Create the manifest with one PUT.

        A nonce that *job* has is kept, so that a call without an answer can be repeated.
        """
        job = evolve(job, revision=1, nonce=job.nonce or self.ids.nonce())
        stands = create(self.store, keys.manifest(job.uuid), encode_job(job))
        if isinstance(stands, StoredObject):
            raise JobIdTaken(f"another job has the id {job.uuid}")
        return StoredJob(job, stands)

    def load(self, job_id: str) -> StoredJob:
        """Read the manifest with one GET."""
        key = keys.manifest(job_id)
        try:
            return _stored_job(read(self.store, key, MAX_MANIFEST_BYTES), job_id)
        except ObjectNotFound as error:
            raise JobNotFound(job_id) from error

    def load_if_changed(self, known: StoredJob) -> StoredJob:
        """Read the manifest with one GET, without a body if nothing changed."""
        key = keys.manifest(known.job.uuid)
        try:
            answer = self.store.get_if_changed(key, known.etag, max_bytes=MAX_MANIFEST_BYTES)
        except ObjectNotFound as error:
            raise JobNotFound(known.job.uuid) from error
        except ObjectTooLarge as error:
            raise too_large(key, MAX_MANIFEST_BYTES) from error
        return known if isinstance(answer, Unchanged) else _stored_job(answer, known.job.uuid)

    def ids_beginning(self, text: str, most: int) -> Sequence[str]:
        """Find the ids with one LIST, unless foreign keys fill its page."""
        listing = pages(self.store, keys.jobs_beginning(text), delimiter="/", limit=most)
        job_ids = (keys.job_id_of(prefix) for page in listing for prefix in page.prefixes)
        return tuple(islice(filter(None, job_ids), most))

    def replace(self, known: StoredJob, job: Job) -> StoredJob:
        """Rewrite the manifest with one PUT, and one GET if the outcome is unclear."""
        if job.uuid != known.job.uuid:
            raise ValueError(f"job {job.uuid} cannot replace {known.job.uuid}")
        job = evolve(job, revision=known.job.revision + 1, nonce=self.ids.nonce())
        etag = replace(self.store, keys.manifest(job.uuid), encode_job(job), known.etag)
        return StoredJob(job, etag)

    def put_again(self, job: Job) -> StoredJob:
        """Create the manifest again with one PUT, and one GET if the outcome is unclear."""
        job = evolve(job, revision=job.revision + 1, nonce=self.ids.nonce())
        key = keys.manifest(job.uuid)
        stands = create(self.store, key, encode_job(job))
        if isinstance(stands, StoredObject):
            raise RecordChanged(f"{key} exists again")
        return StoredJob(job, stands)

    def create_claim(self, job_id: str, claim: Claim) -> ClaimResult:
        """Create a claim with one PUT, and one GET if another process was first."""
        tag = ClaimTag(job_id, claim.n)
        claim = evolve(claim, nonce=claim.nonce or self.ids.nonce())
        stands = create(self.store, keys.claim(tag), encode_claim(claim))
        if isinstance(stands, StoredObject):
            return ClaimResult(decode_claim(stands.body, stands.key, tag.n), is_ours=False)
        return ClaimResult(claim, is_ours=True)

    def claim(self, tag: ClaimTag) -> Claim | None:
        """Read a claim with one GET."""
        try:
            record = read(self.store, keys.claim(tag), MAX_SMALL_RECORD_BYTES)
        except ObjectNotFound:
            return None
        return decode_claim(record.body, record.key, tag.n)

    def newest_claim(self, job_id: str, known: int = 0) -> Claim | None:
        """Find the newest claim with one GET per claim from *known* on, and one more: a LIST may lag."""
        first = max(1, known)
        newest = self.claim(ClaimTag(job_id, first))
        if newest is None:
            self._require_none(job_id, first, known)
            return None
        for n in range(first + 1, first + MAX_CLAIMS_WALKED):
            claim = self.claim(ClaimTag(job_id, n))
            if claim is None:
                return newest
            newest = claim
        raise RecordRejected(f"job ({job_id}) has more than {MAX_CLAIMS_WALKED} claims after claim {first}")

    def _require_none(self, job_id: str, first: int, known: int) -> None:
        """Raise `ClaimMissing` if a claim was lost: the oldest expires first, so the next one may exist."""
        if known or self.claim(ClaimTag(job_id, first + 1)) is not None:
            raise ClaimMissing(job_id, first)

    def history_key(self, job: Job) -> str:
        """Return the key of the job's history entry, without a request."""
        return history_key(HistoryEntry.of(job))

    def put_history(self, history_key: str) -> None:
        """Write the history entry with one PUT.

        Any other key is rejected: it came from the bucket, and the PUT could overwrite any object.
        """
        if parse_history_key(history_key) is None:
            raise RecordRejected(f"{history_key!r} is not the key of a history entry and was not written")
        self.store.put(history_key, b"")

    def is_in_history(self, job: Job) -> bool:
        """Look for the history entry with one GET."""
        try:
            self.store.get(job.history_key or self.history_key(job))
        except ObjectNotFound:
            return False
        except ObjectTooLarge:
            return True
        return True

    def history(self, last: int | None = None) -> Iterator[HistoryEntry]:
        """Yield the entries with one LIST per thousand; no more entries than *last* are requested."""
        wanted = FULL_PAGE if last is None else last
        if wanted <= 0:
            return
        count = 0
        for page in pages(self.store, keys.HISTORY, limit=min(wanted, FULL_PAGE)):
            for listed in page.objects:
                entry = parse_history_key(listed.key)
                if entry is None:
                    continue
                yield entry
                count += 1
                if count == last:
                    return

    def delete(self, job: Job) -> None:
        """Delete a job with one LIST and four deletions."""
        if not job.is_final:
            raise JobStateConflict(f"Job ({job.uuid}) is {job.state.value}: only finished jobs are deleted.")
        history_keys = {self.history_key(job), job.history_key} - {""}
        claims = {keys.claim(ClaimTag(job.uuid, n)) for n in range(1, job.claim + 1)}
        script = keys.script(job.uuid, job.name)
        sweep_job(self.store, job.uuid, sorted(history_keys), {keys.manifest(job.uuid), script, *claims})

    def delete_finished(self, keep: Callable[[HistoryEntry], bool] = keep_none) -> Iterator[str]:
        """Delete jobs in one pass over the history and one over all jobs, a thousand keys per request."""
        return sweep_history(self.store, keep)

    def remove_ghost(self, job_id: str) -> bool:
        """Remove an orphan with one GET, one LIST and LISTs of the whole history: its end time is unknown."""
        try:
            self.store.get(keys.manifest(job_id), max_bytes=MAX_MANIFEST_BYTES)
        except ObjectTooLarge:
            return False
        except ObjectNotFound:
            history_keys = self._history_keys_of(job_id)
            return sweep_job(self.store, job_id, history_keys) or bool(history_keys)
        return False

    def _history_keys_of(self, job_id: str) -> list[str]:
        return [
            listed.key
            for page in pages(self.store, keys.HISTORY)
            for listed in page.objects
            if (entry := parse_history_key(listed.key)) is not None and entry.job_id == job_id
        ]


def _stored_job(record: StoredObject, job_id: str) -> StoredJob:
    job = decode_job(record.body, record.key, job_id)
    if job.history_key:
        entry = parse_history_key(job.history_key)
        if entry is None or entry.job_id != job_id:
            raise RecordRejected(f"{record.key} has a history_key that is not this job's; it was ignored")
    return StoredJob(job, record.etag, len(record.body), record.age_s)
