"""Queue entries, requests and doorbells over any object store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from attrs import define, evolve, field, frozen

from cloudq.adapters.job_repository import keys
from cloudq.domain.errors import ObjectNotFound, ObjectTooLarge
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import IdSource
from cloudq.ports.job_repository import QueueEntry, QueueListing, TaskRequest
from cloudq.ports.object_store import ListPage, ObjectStore, Unchanged, pages

MAX_KEPT = 100_000
"""Queue entries (and requests) of one system that are held in memory when all queues are listed."""
MAX_PAGES = 100
"""Pages of one queue that are listed at once: a flood of queue entries must not stop the agent."""
MAX_SYSTEMS = 10_000
"""Queues that are reported; any beyond this number are ignored."""


@frozen
class BucketJobQueue:
    """The port `JobQueue` over any `ObjectStore`."""

    store: ObjectStore
    ids: IdSource

    def invite(self, system: str, tag: ClaimTag) -> None:
        """Create a queue entry with one PUT."""
        self.store.put(keys.queue_entry(system, tag), b"")

    def withdraw(self, system: str, tags: Sequence[ClaimTag]) -> None:
        """Delete queue entries with one deletion per thousand."""
        self._delete(keys.queue_entry(system, tag) for tag in tags)

    def request_cancel(self, system: str, tag: ClaimTag, task: int | None = None) -> None:
        """Create a cancel request with one PUT."""
        self.store.put(keys.cancel_request(system, tag, task), b"")

    def is_cancel_requested(self, system: str, tag: ClaimTag) -> bool:
        """Look for a cancel request with one GET."""
        return self._is_there(keys.cancel_request(system, tag))

    def request_follow(self, system: str, tag: ClaimTag) -> None:
        """Create a follow request with one PUT."""
        self.store.put(keys.follow_request(system, tag), b"")

    def request_refresh(self, system: str, tag: ClaimTag) -> None:
        """Create a refresh request with one PUT."""
        self.store.put(keys.refresh_request(system, tag), b"")

    def is_refresh_requested(self, system: str, tag: ClaimTag) -> bool:
        """Look for a refresh request with one GET."""
        return self._is_there(keys.refresh_request(system, tag))

    def drop_requests(
        self,
        system: str,
        cancels: Sequence[ClaimTag] = (),
        follows: Sequence[ClaimTag] = (),
        task_cancels: Sequence[TaskRequest] = (),
        refreshes: Sequence[ClaimTag] = (),
    ) -> None:
        """Delete requests with one deletion per thousand."""
        doomed = [keys.cancel_request(system, tag) for tag in cancels]
        doomed += [keys.cancel_request(system, request.tag, request.task) for request in task_cancels]
        doomed += [keys.follow_request(system, tag) for tag in follows]
        self._delete([*doomed, *(keys.refresh_request(system, tag) for tag in refreshes)])

    def ring(self, system: str) -> None:
        """Ring with one PUT of a value that was never there before."""
        self.store.put(keys.doorbell(system), self.ids.nonce().encode())

    def doorbell(self, system: str, known: str) -> str:
        """Read the doorbell with one GET. An unusable one never rings; agents list now and then anyway."""
        key = keys.doorbell(system)
        try:
            answer = self.store.get_if_changed(key, known) if known else self.store.get(key)
        except (ObjectNotFound, ObjectTooLarge):
            return ""
        return known if isinstance(answer, Unchanged) else answer.etag

    def listing(self, system: str, after: str = "") -> QueueListing:
        """List a queue with one LIST per thousand keys, at most `MAX_PAGES`."""
        gathered: dict[str, _Gathered] = {}
        rest_after = ""
        for number, page in enumerate(pages(self.store, keys.queue(system), start_after=after), start=1):
            _gather(page, gathered)
            if number == MAX_PAGES and page.is_full:
                rest_after = page.last
                break
        return evolve(gathered.get(system, _Gathered()).listing(), rest_after=rest_after)

    def queue_entries_of_all(self) -> dict[str, QueueListing]:
        """List all queues with one LIST per thousand keys."""
        gathered: dict[str, _Gathered] = {}
        for page in pages(self.store, keys.QUEUES):
            _gather(page, gathered)
        return {system: queue.listing() for system, queue in gathered.items()}

    def holds_queue_entry(self, system: str, tag: ClaimTag) -> bool:
        """Look for a queue entry with one GET."""
        return self._is_there(keys.queue_entry(system, tag))

    def _is_there(self, key: str) -> bool:
        try:
            self.store.get(key)
        except ObjectNotFound:
            return False
        except ObjectTooLarge:
            pass
        return True

    def _delete(self, doomed: Iterable[str]) -> None:
        if batch := list(doomed):
            self.store.delete(batch)


@define
class _Gathered:
    """The queue entries and requests of one system that were listed so far."""

    queue_entries: list[QueueEntry] = field(factory=list)
    cancels: list[ClaimTag] = field(factory=list)
    task_cancels: list[TaskRequest] = field(factory=list)
    follows: list[QueueEntry] = field(factory=list)
    refreshes: list[ClaimTag] = field(factory=list)

    def keep(self, key: keys.QueueKey, age_s: float) -> None:
        if key.task is not None:
            _append(self.task_cancels, TaskRequest(key.tag, key.task))
        elif key.request == "cancel":
            _append(self.cancels, key.tag)
        elif key.request == "refresh":
            _append(self.refreshes, key.tag)
        else:
            _append(self.follows if key.request else self.queue_entries, QueueEntry(key.tag, age_s))

    def listing(self) -> QueueListing:
        return QueueListing(
            queue_entries=tuple(self.queue_entries),
            cancels=tuple(self.cancels),
            task_cancels=tuple(self.task_cancels),
            follows=tuple(self.follows),
            refreshes=tuple(self.refreshes),
        )


T = TypeVar("T")


def _append(kept: list[T], item: T) -> None:
    if len(kept) < MAX_KEPT:
        kept.append(item)


def _gather(page: ListPage, gathered: dict[str, _Gathered]) -> None:
    for listed in page.objects:
        key = keys.split_queue_key(listed.key)
        if key is not None and (key.system in gathered or len(gathered) < MAX_SYSTEMS):
            age_s = max(0.0, (page.date - listed.last_modified).total_seconds())
            gathered.setdefault(key.system, _Gathered()).keep(key, age_s)
