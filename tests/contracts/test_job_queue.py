"""Test `JobQueue`: queue entries, requests and doorbells, and their costs (protocol sections 2 and 10)."""

from __future__ import annotations

import pytest

from cloudq.adapters.job_repository import BucketJobQueue, keys, queue
from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import ClaimTag
from cloudq.ports.job_repository import JobQueue, QueueEntry, QueueListing, TaskRequest
from tests.contracts.conftest import StoreTime, put_foreign
from tests.parts.counting_store import CountingStore
from tests.parts.serial_ids import SerialIds

TAG = ClaimTag("3f7e7681", 1)
OTHER = ClaimTag("3f7e7682", 1)


@pytest.fixture(name="jobs_queue")
def _queue(store: CountingStore, ids: SerialIds) -> JobQueue:
    return BucketJobQueue(store, ids)


class TestListing:
    def test_markers_and_requests_are_told_apart(self, jobs_queue: JobQueue, store_time: StoreTime) -> None:
        jobs_queue.invite("alpha", TAG)
        store_time.pass_by(7)
        jobs_queue.request_cancel("alpha", TAG)
        jobs_queue.request_cancel("alpha", TAG, 30)
        jobs_queue.request_follow("alpha", OTHER)
        jobs_queue.request_refresh("alpha", OTHER)
        jobs_queue.invite("beta", TAG)
        store_time.pass_by(3)

        assert jobs_queue.listing("alpha") == QueueListing(
            (QueueEntry(TAG, 10),), (TAG,), (TaskRequest(TAG, 30),), (QueueEntry(OTHER, 3),), (OTHER,)
        )
        assert jobs_queue.listing("beta") == QueueListing((QueueEntry(TAG, 3),))

    def test_an_empty_queue_is_one_request(self, jobs_queue: JobQueue, store: CountingStore) -> None:
        assert jobs_queue.listing("alpha") == QueueListing()
        assert store.counts == {"LIST": 1}

    def test_a_system_is_not_shown_what_belongs_to_one_with_a_longer_name(self, jobs_queue: JobQueue) -> None:
        jobs_queue.invite("alpha-2", TAG)

        assert jobs_queue.listing("alpha") == QueueListing()

    def test_the_queues_of_all_systems_are_one_listing(
        self, jobs_queue: JobQueue, store: CountingStore
    ) -> None:
        for system in ("alpha", "beta", "gamma"):
            jobs_queue.invite(system, TAG)
        store.reset()

        assert set(jobs_queue.queue_entries_of_all()) == {"alpha", "beta", "gamma"}
        assert store.counts == {"LIST": 1}

    def test_a_full_page_is_followed_by_another(self, jobs_queue: JobQueue, store: CountingStore) -> None:
        for n in range(1000):
            jobs_queue.invite("alpha", ClaimTag(f"{n:08x}", 1))
        store.reset()

        assert len(jobs_queue.queue_entries_of_all()["alpha"].queue_entries) == 1000
        assert store.counts == {"LIST": 2}

    def test_foreign_keys_are_skipped(self, jobs_queue: JobQueue, store: CountingStore) -> None:
        jobs_queue.invite("alpha", TAG)
        names = ("", "readme", "3f7e7681.0", "3f7e7681.1.other", "x/3f7e7681.1", "\x1b[2J")
        put_foreign(store, *(f"queue/alpha/{name}" for name in names))
        put_foreign(store, "queue/A B/3f7e7681.1", "queue/readme")

        assert [queue_entry.tag for queue_entry in jobs_queue.listing("alpha").queue_entries] == [TAG]
        assert set(jobs_queue.queue_entries_of_all()) == {"alpha"}

    def test_more_than_any_sane_number_is_told_part_by_part(
        self, jobs_queue: JobQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queue, "MAX_PAGES", 1)
        tags = [ClaimTag(f"{n:08x}", 1) for n in range(1002)]
        for tag in tags:
            jobs_queue.invite("alpha", tag)

        first = jobs_queue.listing("alpha")
        second = jobs_queue.listing("alpha", first.rest_after)

        assert first.rest_after
        assert not second.rest_after
        assert [queue_entry.tag for queue_entry in (*first.queue_entries, *second.queue_entries)] == tags

    def test_of_all_queues_only_the_first_of_too_many_queue_entries_are_held(
        self, jobs_queue: JobQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(queue, "MAX_KEPT", 3)
        for n in range(5):
            jobs_queue.invite("alpha", ClaimTag(f"{n:08x}", 1))
        jobs_queue.request_cancel("alpha", ClaimTag("ffffffff", 1))

        listing = jobs_queue.queue_entries_of_all()["alpha"]

        assert [queue_entry.tag.job_id for queue_entry in listing.queue_entries] == [
            "00000000",
            "00000001",
            "00000002",
        ]
        assert listing.cancels == (ClaimTag("ffffffff", 1),)


class TestQueueEntries:
    def test_withdrawing_deletes_exactly_the_queue_entry(
        self, jobs_queue: JobQueue, store: CountingStore
    ) -> None:
        second = ClaimTag(TAG.job_id, 2)
        jobs_queue.invite("alpha", TAG)
        jobs_queue.invite("alpha", second)
        jobs_queue.request_cancel("alpha", TAG)
        store.reset()

        jobs_queue.withdraw("alpha", [TAG])

        assert store.counts == {"DELETE": 1}
        left = jobs_queue.listing("alpha")
        assert [queue_entry.tag for queue_entry in left.queue_entries] == [second]
        assert left.cancels == (TAG,)

    def test_withdrawing_nothing_is_no_request(self, jobs_queue: JobQueue, store: CountingStore) -> None:
        jobs_queue.withdraw("alpha", [])
        jobs_queue.drop_requests("alpha")

        assert store.counts == {}

    def test_requests_are_dropped_together(self, jobs_queue: JobQueue, store: CountingStore) -> None:
        jobs_queue.request_cancel("alpha", TAG)
        jobs_queue.request_cancel("alpha", TAG, 0)
        jobs_queue.request_follow("alpha", OTHER)
        jobs_queue.request_refresh("alpha", TAG)
        store.reset()

        jobs_queue.drop_requests(
            "alpha", cancels=[TAG], follows=[OTHER], task_cancels=[TaskRequest(TAG, 0)], refreshes=[TAG]
        )

        assert store.counts == {"POST": 1}
        assert jobs_queue.listing("alpha") == QueueListing()

    def test_a_queue_entry_is_looked_for_by_a_read(self, jobs_queue: JobQueue, store: CountingStore) -> None:
        jobs_queue.invite("alpha", TAG)
        store.reset()

        assert jobs_queue.holds_queue_entry("alpha", TAG)
        assert store.counts == {"GET": 1}
        assert not jobs_queue.holds_queue_entry("beta", TAG)
        assert not jobs_queue.holds_queue_entry("alpha", OTHER)

    def test_refresh_request_is_looked_for_by_a_read(
        self, jobs_queue: JobQueue, store: CountingStore
    ) -> None:
        jobs_queue.request_refresh("alpha", TAG)
        store.reset()

        assert jobs_queue.is_refresh_requested("alpha", TAG)
        assert store.counts == {"GET": 1}
        assert not jobs_queue.is_refresh_requested("alpha", OTHER)

    def test_a_request_is_no_queue_entry(self, jobs_queue: JobQueue) -> None:
        jobs_queue.request_cancel("alpha", TAG)
        jobs_queue.request_follow("alpha", TAG)

        assert not jobs_queue.holds_queue_entry("alpha", TAG)

    @pytest.mark.parametrize("system", ["", "..", "a/b", "Alpha"])
    def test_what_names_no_system_never_reaches_the_store(
        self, jobs_queue: JobQueue, store: CountingStore, system: str
    ) -> None:
        for ask in (jobs_queue.listing, jobs_queue.ring, lambda name: jobs_queue.invite(name, TAG)):
            with pytest.raises(InvalidInput):
                ask(system)
        assert store.counts == {}


class TestDoorbell:
    def test_it_is_the_same_until_it_rings(self, jobs_queue: JobQueue, store: CountingStore) -> None:
        jobs_queue.ring("alpha")
        heard = jobs_queue.doorbell("alpha", "")
        store.reset()

        assert jobs_queue.doorbell("alpha", heard) == heard
        assert store.counts == {"GET": 1}

        jobs_queue.ring("alpha")

        assert jobs_queue.doorbell("alpha", heard) != heard

    def test_one_that_never_rang_is_silent(self, jobs_queue: JobQueue) -> None:
        assert jobs_queue.doorbell("alpha", "") == ""

    def test_one_that_was_deleted_is_heard_once(self, jobs_queue: JobQueue, store: CountingStore) -> None:
        jobs_queue.ring("alpha")
        heard = jobs_queue.doorbell("alpha", "")
        store.delete([keys.doorbell("alpha")])

        assert jobs_queue.doorbell("alpha", heard) == ""

    def test_one_as_large_as_a_house_is_silent(self, jobs_queue: JobQueue, store: CountingStore) -> None:
        store.put(keys.doorbell("alpha"), b" " * 9_000_000)

        assert jobs_queue.doorbell("alpha", "") == ""
