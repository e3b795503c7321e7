"""The store's clock beside the local one: it shows time that this machine did not see (protocol 6.8)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import define

from cloudq.adapters.object_stores.wrappers.dated import REMEMBERED, SLOW_S, DatedStore
from cloudq.adapters.object_stores.wrappers.passing_on import PassingOn
from cloudq.domain.errors import ObjectNotFound
from cloudq.ports.object_store import MAX_CONTROL_BYTES, ObjectStore, StoredObject
from cloudq.testing.fake_clock import FakeClock
from cloudq.testing.memory_store import MemoryStore

KEY = "doorbell/alpha"


@define
class SlowStore(PassingOn):
    """A store whose answers take a while, before or after they are dated."""

    inner: ObjectStore
    before: Callable[[], object] = lambda: None
    after: Callable[[], object] = lambda: None

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        self.before()
        found = self.inner.get(key, max_bytes=max_bytes)
        self.after()
        return found


def a_store(stores_clock: FakeClock) -> MemoryStore:
    store = MemoryStore(stores_clock.now)
    store.put(KEY, b"1")
    return store


def test_before_any_answer_nothing_is_known() -> None:
    clock = FakeClock()
    store = DatedStore(a_store(clock), clock)

    assert store.mark() is None
    assert store.passed_unseen_s(store.mark()) == 0


@pytest.mark.parametrize("ask", ["get", "get_if_changed", "list_page"])
def test_every_answer_shows_what_passed_while_the_own_clock_stood_still(ask: str) -> None:
    stores, own = FakeClock(), FakeClock()
    store = DatedStore(a_store(stores), own)
    store.get(KEY)
    mark = store.mark()
    stores.pass_by(300)
    etag = store.inner.get(KEY).etag
    asks = {
        "get": lambda: store.get(KEY),
        "get_if_changed": lambda: store.get_if_changed(KEY, etag),
        "list_page": lambda: store.list_page(""),
    }

    asks[ask]()

    assert store.passed_unseen_s(mark) == 300


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_slow_answer_is_no_pause(when: str) -> None:
    clock = FakeClock()
    slow = SlowStore(a_store(clock))
    store = DatedStore(slow, clock)
    store.get(KEY)
    mark = store.mark()
    setattr(slow, when, lambda: clock.pass_by(100))
    store.get(KEY)
    later = store.mark()
    setattr(slow, when, lambda: None)
    store.get(KEY)

    assert store.passed_unseen_s(mark) == 0
    assert store.passed_unseen_s(later) == 0


def test_a_front_end_that_was_ahead_before_is_no_pause() -> None:
    stores, own = FakeClock(), FakeClock()
    store = DatedStore(a_store(stores), own)
    stores.pass_by(40)
    store.get(KEY)
    stores.seconds -= 40
    store.get(KEY)
    mark = store.mark()
    stores.pass_by(40)
    store.get(KEY)

    assert store.passed_unseen_s(mark) == 0


def test_a_front_end_that_was_ahead_long_ago_is_forgotten() -> None:
    stores, own = FakeClock(seconds=40), FakeClock()
    store = DatedStore(a_store(stores), own)
    store.get(KEY)
    stores.seconds = 0
    for _ in range(REMEMBERED):
        store.get(KEY)
    mark = store.mark()
    stores.pass_by(40)
    store.get(KEY)

    assert store.passed_unseen_s(mark) == 40


def test_a_slow_answer_hides_no_pause_that_follows_it() -> None:
    stores, own = FakeClock(), FakeClock()
    slow = SlowStore(a_store(stores), before=lambda: (stores.pass_by(2000), own.pass_by(2000)))
    store = DatedStore(slow, own)
    store.get(KEY)
    slow.before = lambda: None
    mark = store.mark()
    stores.pass_by(300)
    store.get(KEY)

    assert 300 - SLOW_S <= store.passed_unseen_s(mark) <= 300


def test_that_there_is_no_such_object_tells_the_time_as_well() -> None:
    stores, own = FakeClock(), FakeClock()
    store = DatedStore(a_store(stores), own)
    store.get(KEY)
    mark = store.mark()
    stores.pass_by(300)

    with pytest.raises(ObjectNotFound):
        store.get("jobs/absent")
    assert store.passed_unseen_s(mark) == 300
