"""Recognize jobs of the original CloudQ in the same bucket; never read or change them."""

from __future__ import annotations

from cloudq.adapters.clock import SystemClock
from cloudq.bootstrap.stores import open_store
from cloudq.config import Config, is_original_key
from cloudq.ports.object_store import ObjectStore


def notice_of_original_jobs(config: Config) -> tuple[str, ...]:
    """Return a notice for the user if the bucket has such jobs; one LIST, or two if a key looks like one.

    Raises `StoreProblem` if the store cannot be used.
    """
    store = open_store(config.store, SystemClock())
    if not _holds_original_job(store):
        return ()
    return (
        (
            "The bucket holds jobs of the original CloudQ, which are neither shown nor changed. The "
            "original lists everything in its bucket: use another bucket, or set a [store] prefix."
        ),
    )


def _holds_original_job(store: ObjectStore) -> bool:
    """Return whether the first page of the listing shows such a job, which is enough for the notice."""
    for prefix in store.list_page("", delimiter="/").prefixes:
        key = f"{prefix}manifest.json"
        if is_original_key(key):
            return any(listed.key == key for listed in store.list_page(key, limit=1).objects)
    return False
