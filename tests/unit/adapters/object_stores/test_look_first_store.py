"""Guarded writes on a store without conditions: their guarantees and their limits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import define, field

from cloudq.adapters.object_stores.wrappers.look_first import LookFirstStore
from cloudq.domain.errors import LeaseLost, OutcomeUnknown, PreconditionFailed, StoreRefused, StoreUnavailable
from cloudq.ports.object_store import ObjectStore
from cloudq.testing.memory_store import MemoryStore
from tests.parts.weak_store import WeakStore

KEY = "jobs/a/claims/1.json"


@define
class Meddled:
    """A store that runs the next action of *before* ahead of the call that it names, if there is one."""

    inner: ObjectStore
    before: deque[tuple[str, Callable[[], object]]] = field(factory=deque)
    called: list[str] = field(factory=list)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)

        def call(*args: Any, **options: Any) -> Any:
            self.called.append(name)
            if self.before and self.before[0][0] == name:
                self.before.popleft()[1]()
            return method(*args, **options)

        return call


@pytest.fixture
def bucket() -> MemoryStore:
    return MemoryStore(lambda: datetime.now(UTC))


@pytest.fixture
def meddled(bucket: MemoryStore) -> Meddled:
    return Meddled(WeakStore(bucket))


def looking(store: Meddled, **options: Any) -> LookFirstStore:
    return LookFirstStore(store, lambda: True, **options)  # type: ignore[arg-type]


def fails(error: Exception) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def test_conditions_that_work_are_used(meddled: Meddled) -> None:
    store = LookFirstStore(meddled, lambda: False, fails(AssertionError()))  # type: ignore[arg-type]
    etag = store.put_if_absent(KEY, b"1")
    store.put_if_match(KEY, b"2", etag)

    assert meddled.called == ["put_if_absent", "put_if_match"]


def test_conditions_that_do_not_work_are_not_asked_for(meddled: Meddled) -> None:
    """Some services reject a request with a condition."""
    store = looking(meddled)
    etag = store.put_if_absent(KEY, b"1")
    store.put_if_match(KEY, b"2", etag)

    assert meddled.called == ["get", "put", "get", "get_if_changed", "put"]


def test_who_writes_last_between_look_and_look_again_has_created_the_key(
    bucket: MemoryStore, meddled: Meddled
) -> None:
    meddled.before = deque([("put", lambda: None), ("get", lambda: bucket.put(KEY, b"theirs"))])
    meddled.before.appendleft(("get", lambda: None))

    with pytest.raises(PreconditionFailed):
        looking(meddled).put_if_absent(KEY, b"ours")
    assert bucket.get(KEY).body == b"theirs"


def test_two_who_look_before_either_writes_may_both_have_created_the_key(
    bucket: MemoryStore, meddled: Meddled
) -> None:
    """The remaining race, which is why each key has only one writer."""
    other = looking(Meddled(WeakStore(bucket)))
    meddled.before = deque([("put", lambda: other.put_if_absent(KEY, b"theirs"))])

    looking(meddled).put_if_absent(KEY, b"ours")

    assert bucket.get(KEY).body == b"ours"


def test_who_may_not_write_any_more_is_stopped_before_the_look(bucket: MemoryStore, meddled: Meddled) -> None:
    etag = bucket.put(KEY, b"1")
    store = looking(meddled, look_again=fails(LeaseLost("another agent has it")))

    with pytest.raises(LeaseLost):
        store.put_if_match(KEY, b"2", etag)
    with pytest.raises(LeaseLost):
        store.put_if_absent("jobs/b/claims/1.json", b"2")
    assert (meddled.called, bucket.snapshot()) == ([], {KEY: b"1"})


def test_a_write_without_an_answer_may_have_happened(meddled: Meddled) -> None:
    meddled.before = deque([("put", fails(StoreUnavailable("no answer")))])
    with pytest.raises(OutcomeUnknown):
        looking(meddled).put_if_absent(KEY, b"1")

    etag = meddled.inner.put(KEY, b"1")
    meddled.before = deque([("put", fails(StoreUnavailable("no answer")))])
    with pytest.raises(OutcomeUnknown):
        looking(meddled).put_if_match(KEY, b"2", etag)


def test_a_creation_that_cannot_be_read_back_may_have_happened(bucket: MemoryStore, meddled: Meddled) -> None:
    meddled.before = deque([("get", lambda: None), ("get", fails(StoreUnavailable("no answer")))])
    with pytest.raises(OutcomeUnknown):
        looking(meddled).put_if_absent(KEY, b"1")

    meddled.before = deque([("get", lambda: None), ("get", lambda: bucket.delete(["jobs/b/1"]))])
    with pytest.raises(OutcomeUnknown):
        looking(meddled).put_if_absent("jobs/b/1", b"1")


def test_a_look_without_an_answer_writes_nothing(bucket: MemoryStore, meddled: Meddled) -> None:
    meddled.before = deque([("get", fails(StoreUnavailable("no answer")))])
    with pytest.raises(StoreUnavailable) as told:
        looking(meddled).put_if_absent(KEY, b"1")

    assert not isinstance(told.value, OutcomeUnknown)
    assert bucket.snapshot() == {}


def test_a_refusal_stays_one(meddled: Meddled) -> None:
    meddled.before = deque([("put", fails(StoreRefused("no right")))])

    with pytest.raises(StoreRefused):
        looking(meddled).put_if_absent(KEY, b"1")
