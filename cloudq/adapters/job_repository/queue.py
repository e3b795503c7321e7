"""Markers, requests and doorbells over any object store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define, field, frozen

from cloudq.adapters.job_repository import keys
from cloudq.adapters.job_repository.records import pages
from cloudq.domain.errors import ObjectNotFound, ObjectTooLarge
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import IdSource
from cloudq.ports.job_repository import Marker, QueueListing
from cloudq.ports.object_store import ListPage, ObjectStore, Unchanged

MAX_KEPT = 100_000
"""Markers (and requests) of one system held in memory; the rest is seen once these are gone."""


@frozen
class BucketJobQueue:
    """The port `JobQueue` over any `ObjectStore`."""

    store: ObjectStore
    ids: IdSource

    def invite(self, system: str, tag: ClaimTag) -> None:
        """One PUT."""
        self.store.put(keys.marker(system, tag), b"")

    def withdraw(self, system: str, tags: Sequence[ClaimTag]) -> None:
        """One deletion a thousand markers."""
        self._delete(keys.marker(system, tag) for tag in tags)

    def request_cancel(self, system: str, tag: ClaimTag) -> None:
        """One PUT."""
        self.store.put(keys.cancel_request(system, tag), b"")

    def request_follow(self, system: str, tag: ClaimTag) -> None:
        """One PUT."""
        self.store.put(keys.follow_request(system, tag), b"")

    def drop_requests(
        self, system: str, cancels: Sequence[ClaimTag] = (), follows: Sequence[ClaimTag] = ()
    ) -> None:
        """One deletion a thousand requests."""
        cancel_keys = [keys.cancel_request(system, tag) for tag in cancels]
        self._delete([*cancel_keys, *(keys.follow_request(system, tag) for tag in follows)])

    def ring(self, system: str) -> None:
        """One PUT of something that was never there before."""
        self.store.put(keys.doorbell(system), self.ids.nonce().encode())

    def doorbell(self, system: str, known: str) -> str:
        """One GET. Without a usable doorbell it never rings, and agents list now and then anyway."""
        key = keys.doorbell(system)
        try:
            found = self.store.get_if_changed(key, known) if known else self.store.get(key)
        except (ObjectNotFound, ObjectTooLarge):
            return ""
        return known if isinstance(found, Unchanged) else found.etag

    def listing(self, system: str) -> QueueListing:
        """One LIST a thousand keys."""
        return self._listings(keys.queue(system)).get(system, QueueListing())

    def markers_of_all(self) -> dict[str, QueueListing]:
        """One LIST a thousand keys of all queues."""
        return self._listings(keys.QUEUES)

    def holds_marker(self, system: str, job_id: str) -> bool:
        """One LIST."""
        for page in pages(self.store, keys.markers(system, job_id)):
            for listed in page.objects:
                found = keys.split_queue_key(listed.key)
                if found is not None and not found.request:
                    return True
        return False

    def _listings(self, prefix: str) -> dict[str, QueueListing]:
        gathered: dict[str, _Gathered] = {}
        for page in pages(self.store, prefix):
            _gather(page, gathered)
        return {system: found.listing() for system, found in gathered.items()}

    def _delete(self, doomed: Iterable[str]) -> None:
        if found := list(doomed):
            self.store.delete(found)


@define
class _Gathered:
    """What was listed of one system so far."""

    markers: list[Marker] = field(factory=list)
    cancels: list[Marker] = field(factory=list)
    follows: list[Marker] = field(factory=list)

    def kept(self, request: str) -> list[Marker]:
        return {"": self.markers, "cancel": self.cancels, "follow": self.follows}[request]

    def listing(self) -> QueueListing:
        return QueueListing(
            tuple(self.markers), tuple(cancel.tag for cancel in self.cancels), tuple(self.follows)
        )


def _gather(page: ListPage, gathered: dict[str, _Gathered]) -> None:
    for listed in page.objects:
        found = keys.split_queue_key(listed.key)
        if found is None:
            continue
        kept = gathered.setdefault(found.system, _Gathered()).kept(found.request)
        if len(kept) < MAX_KEPT:
            age_s = max(0.0, (page.date - listed.last_modified).total_seconds())
            kept.append(Marker(found.tag, age_s))
