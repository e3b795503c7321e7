"""Jobs of the original CloudQ in the same bucket: recognised and named, never read or changed."""

from __future__ import annotations

from cloudq.adapters.clock import SystemClock
from cloudq.bootstrap.stores import open_store
from cloudq.config import Config, is_original_key
from cloudq.ports.object_store import ObjectStore


def notice_of_original_jobs(config: Config) -> tuple[str, ...]:
    """What a user should know about them; nothing if there are none. One LIST, and one more if any.

    Raises `StoreProblem` if the store cannot be used.
    """
    store = open_store(config.store, SystemClock())
    if not _holds_original_job(store):
        return ()
    return (
        (
            "The bucket holds jobs of the original CloudQ, which are neither shown nor changed. The "
            "original lists everything in its bucket: another bucket, or a [store] prefix, keeps them apart."
        ),
    )


def _holds_original_job(store: ObjectStore) -> bool:
    """Whether the first page shows one: enough to say so, whatever else there is."""
    for prefix in store.list_page("", delimiter="/").prefixes:
        key = f"{prefix}manifest.json"
        if is_original_key(key):
            return any(listed.key == key for listed in store.list_page(key, limit=1).objects)
    return False
