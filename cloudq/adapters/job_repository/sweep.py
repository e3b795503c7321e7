"""Deletion of one job or of all in the history, in the order of protocol 3.6 and with few requests."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from attrs import define, field

from cloudq.adapters.job_repository import keys
from cloudq.adapters.job_repository.history_keys import parse_history_key
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.ports.object_store import ObjectStore, pages

KEYS_A_REQUEST = 1000
JOBS_A_BATCH = 100_000
"""Ids held in memory at once; when the next batch lists all jobs, the keys of this one are gone."""


@define
class Sweep:
    """Keys to delete; `flush` deletes script and data, then claims, manifests and history.

    A job whose deletion was interrupted between two requests still has its manifest or its history
    key, and can be deleted again.
    """

    _store: ObjectStore
    _data: list[str] = field(factory=list)
    _claims: list[str] = field(factory=list)
    _manifests: list[str] = field(factory=list)
    _history: list[str] = field(factory=list)

    def add(self, key: str) -> None:
        """Add a key under `keys.JOBS`."""
        name = key.removeprefix(keys.JOBS).partition("/")[2]
        if name == keys.MANIFEST:
            self._manifests.append(key)
        elif name.startswith(keys.CLAIMS):
            self._claims.append(key)
        else:
            self._data.append(key)
        if len(self._data) >= KEYS_A_REQUEST:
            self._delete(self._data)
        if len(self._claims) >= KEYS_A_REQUEST:
            self._delete(self._data)
            self._delete(self._claims)

    def add_history(self, history_keys: Iterable[str]) -> None:
        """Add the history keys of jobs whose other keys were all added."""
        self._history.extend(history_keys)

    @property
    def is_due(self) -> bool:
        """Return whether the added jobs fill a whole request."""
        return max(len(self._manifests), len(self._history)) >= KEYS_A_REQUEST

    def flush(self) -> None:
        """Delete everything that was added; each kind is confirmed before the next."""
        for kind in (self._data, self._claims, self._manifests, self._history):
            self._delete(kind)

    def _delete(self, doomed: list[str]) -> None:
        if doomed:
            self._store.delete(doomed)
            doomed.clear()


def sweep_job(
    store: ObjectStore, job_id: str, history_keys: Iterable[str], certain: Iterable[str] = ()
) -> bool:
    """Delete everything of one job; return whether there was anything besides history entries.

    *certain* are keys of the job that are deleted even if a LIST does not show them yet.
    """
    sweep = Sweep(store)
    stored_keys = {listed.key for page in pages(store, keys.job(job_id)) for listed in page.objects}
    for key in sorted(stored_keys | set(certain)):
        sweep.add(key)
    sweep.add_history(history_keys)
    sweep.flush()
    return bool(stored_keys)


def sweep_history(store: ObjectStore, keep: Callable[[HistoryEntry], bool]) -> Iterator[str]:
    """Delete every job of the history except those to *keep*; yield the ids once they are deleted."""
    for batch in _history_batches(store, keep):
        sweep = Sweep(store)
        done: list[str] = []
        for job_id, group in groupby(_keys_of_jobs(store, sorted(batch)), key=itemgetter(0)):
            for _, key in group:
                sweep.add(key)
            sweep.add_history(batch.pop(job_id))
            done.append(job_id)
            if sweep.is_due:
                sweep.flush()
                yield from done
                done.clear()
        sweep.flush()
        yield from done
        ghosts = [key for history_keys in batch.values() for key in history_keys]
        if ghosts:
            store.delete(ghosts)


def _history_batches(
    store: ObjectStore, keep: Callable[[HistoryEntry], bool]
) -> Iterator[dict[str, list[str]]]:
    """Yield batches of history keys by job id."""
    batch: dict[str, list[str]] = {}
    for page in pages(store, keys.HISTORY):
        for listed in page.objects:
            entry = parse_history_key(listed.key)
            if entry is not None and not keep(entry):
                batch.setdefault(entry.job_id, []).append(listed.key)
        if len(batch) >= JOBS_A_BATCH:
            yield batch
            batch = {}
    if batch:
        yield batch


def _keys_of_jobs(store: ObjectStore, ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield id and key of every object of the jobs *ids* (sorted), in one pass over `keys.JOBS`.

    Keys between two of these jobs are skipped if they fill more than a page.
    """
    start = keys.before_job(ids[0])
    while True:
        page = store.list_page(keys.JOBS, start_after=start)
        for listed in page.objects:
            split = keys.split_job_key(listed.key)
            if split is not None and _has(ids, split[0]):
                yield split[0], listed.key
        reached = page.last.removeprefix(keys.JOBS)[:8]
        following = bisect_left(ids, reached)
        if not page.is_full or following == len(ids) or page.last <= start:
            return
        start = max(page.last, keys.before_job(ids[following]))


def _has(ids: Sequence[str], job_id: str) -> bool:
    place = bisect_left(ids, job_id)
    return place < len(ids) and ids[place] == job_id
