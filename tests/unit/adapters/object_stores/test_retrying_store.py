"""RetryingStore: which requests are retried, for how long, and which conclusions remain afterwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from attrs import define, field

from cloudq.adapters.object_stores.wrappers.retrying import (
    MAX_BULK_ATTEMPTS,
    MAX_CONTROL_ATTEMPTS,
    RetryingStore,
    random_fraction,
)
from cloudq.domain.errors import (
    ObjectNotFound,
    OutcomeUnknown,
    PreconditionFailed,
    StoreProblem,
    StoreRefused,
    StoreUnavailable,
    WriteConflict,
)
from cloudq.ports.object_store import MAX_CONTROL_BYTES, ListPage, StoredObject, Unchanged, forget_progress
from cloudq.testing.fake_clock import FakeClock
from cloudq.testing.memory_store import MemoryStore

BUSY = StoreUnavailable("503")
UNKNOWN = OutcomeUnknown("no answer")
CONFLICT = WriteConflict("409")
LOST = PreconditionFailed("412")
REFUSED = StoreRefused("403")


@define
class FlakyStore:
    """A store in memory whose next requests each take some time and fail as *troubles* lists."""

    clock: FakeClock
    troubles: deque[StoreProblem] = field(factory=deque)
    seconds_each: float = 0.0
    asked: int = 0
    inner: MemoryStore = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.inner = MemoryStore(self.clock.now)

    def _answer(self) -> MemoryStore:
        self.asked += 1
        self.clock.pass_by(self.seconds_each)
        if self.troubles:
            raise self.troubles.popleft()
        return self.inner

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        return self._answer().get(key, max_bytes=max_bytes)

    def get_if_changed(
        self, key: str, etag: str, *, max_bytes: int = MAX_CONTROL_BYTES
    ) -> StoredObject | Unchanged:
        return self._answer().get_if_changed(key, etag, max_bytes=max_bytes)

    def put(self, key: str, body: bytes) -> str:
        return self._answer().put(key, body)

    def put_if_absent(self, key: str, body: bytes) -> str:
        return self._answer().put_if_absent(key, body)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        return self._answer().put_if_match(key, body, etag)

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        return self._answer().list_page(prefix, start_after=start_after, delimiter=delimiter, limit=limit)

    def delete(self, keys: Sequence[str]) -> None:
        self._answer().delete(keys)

    def upload(self, key: str, source: Path) -> None:
        self._answer().upload(key, source)

    def download(
        self,
        key: str,
        target: Path,
        *,
        max_bytes: int | None = None,
        note: Callable[[int], object] = forget_progress,
    ) -> int:
        return self._answer().download(key, target, max_bytes=max_bytes, note=note)

    def read(self, key: str) -> Iterator[bytes]:
        yield from self._answer().read(key)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def flaky(clock: FakeClock) -> FlakyStore:
    return FlakyStore(clock)


@pytest.fixture
def store(flaky: FlakyStore, clock: FakeClock) -> RetryingStore:
    return RetryingStore(flaky, clock, lambda: 1.0)


def control_requests(store: RetryingStore, key: str) -> dict[str, Callable[[], object]]:
    return {
        "get": lambda: store.get(key),
        "get_if_changed": lambda: store.get_if_changed(key, "another etag"),
        "put": lambda: store.put(key, b"2"),
        "put_if_absent": lambda: store.put_if_absent("another/key", b"2"),
        "put_if_match": lambda: store.put_if_match(key, b"2", store.get(key).etag),
        "list_page": lambda: store.list_page(""),
        "delete": lambda: store.delete([key]),
    }


def bulk_requests(store: RetryingStore, key: str, folder: Path) -> dict[str, Callable[[], object]]:
    source = folder / "source"
    source.write_bytes(b"content")
    return {
        "upload": lambda: store.upload(key, source),
        "download": lambda: store.download(key, folder / "target"),
        "read": lambda: list(store.read(key)),
    }


@pytest.mark.parametrize("trouble", [BUSY, CONFLICT], ids=["unavailable", "conflict"])
def test_every_request_is_made_again_when_trouble_passes(
    store: RetryingStore, flaky: FlakyStore, tmp_path: Path, trouble: StoreProblem
) -> None:
    flaky.inner.put("a/key", b"1")
    requests = control_requests(store, "a/key") | bulk_requests(store, "a/key", tmp_path)

    for request in requests.values():
        flaky.inner.put("a/key", b"1")
        flaky.troubles.extend([trouble, trouble])
        request()

        assert not flaky.troubles


@pytest.mark.parametrize("answer", [LOST, REFUSED, ObjectNotFound("a/key")], ids=repr)
def test_an_answer_is_an_answer(store: RetryingStore, flaky: FlakyStore, answer: StoreProblem) -> None:
    flaky.troubles.append(answer)

    with pytest.raises(type(answer)):
        store.put_if_absent("a/key", b"1")
    assert flaky.asked == 1


def test_control_requests_end_within_their_deadline(
    store: RetryingStore, flaky: FlakyStore, clock: FakeClock
) -> None:
    flaky.seconds_each = 8.0
    flaky.troubles.extend([BUSY] * 100)

    with pytest.raises(StoreUnavailable):
        store.get("a/key")
    assert flaky.asked == 2
    assert 16.0 < clock.elapsed() <= 20.0


def test_quick_failures_are_tried_until_the_deadline(
    store: RetryingStore, flaky: FlakyStore, clock: FakeClock
) -> None:
    flaky.troubles.extend([BUSY] * 100)

    with pytest.raises(StoreUnavailable):
        store.get("a/key")
    assert 5 < flaky.asked < MAX_CONTROL_ATTEMPTS
    assert 10.0 < clock.elapsed() <= 20.0


def test_the_deadline_can_be_set(flaky: FlakyStore, clock: FakeClock) -> None:
    flaky.troubles.extend([BUSY] * 100)

    with pytest.raises(StoreUnavailable):
        RetryingStore(flaky, clock, lambda: 0.0, deadline_s=1.0).get("a/key")
    assert clock.elapsed() <= 1.0


def test_a_clock_that_no_longer_sleeps_does_not_make_us_ask_for_ever(flaky: FlakyStore) -> None:
    class WokenClock(FakeClock):
        def sleep(self, seconds: float) -> None:
            """Return at once, because the process was asked to stop."""

    flaky.troubles.extend([BUSY] * 100)

    with pytest.raises(StoreUnavailable):
        RetryingStore(flaky, WokenClock(), lambda: 1.0).get("a/key")
    assert flaky.asked == MAX_CONTROL_ATTEMPTS


def test_pauses_grow_and_are_never_the_same_for_two(flaky: FlakyStore) -> None:
    pauses = []

    class NotingClock(FakeClock):
        def sleep(self, seconds: float) -> None:
            pauses.append(seconds)

    fractions = iter([0.0, 1.0, 0.5, 0.0])
    flaky.troubles.extend([BUSY] * 4)
    flaky.inner.put("a/key", b"1")

    RetryingStore(flaky, NotingClock(), lambda: next(fractions)).get("a/key")

    assert pauses == pytest.approx([0.1, 0.4, 0.6, 0.8])


def test_jitter_is_between_0_and_1() -> None:
    fractions = [random_fraction() for _ in range(100)]

    assert all(0 <= fraction <= 1 for fraction in fractions)
    assert len(set(fractions)) > 50


def test_bulk_transfers_have_no_deadline_but_few_attempts(
    store: RetryingStore, flaky: FlakyStore, tmp_path: Path
) -> None:
    flaky.seconds_each = 3600.0

    for request in bulk_requests(store, "a/key", tmp_path).values():
        flaky.asked = 0
        flaky.troubles.extend([BUSY] * MAX_BULK_ATTEMPTS)
        with pytest.raises(StoreUnavailable):
            request()

        assert flaky.asked == MAX_BULK_ATTEMPTS


def test_what_was_handed_on_is_not_read_again(clock: FakeClock) -> None:
    class BreakingStore(FlakyStore):
        def read(self, key: str) -> Iterator[bytes]:
            self.asked += 1
            yield b"first"
            raise BUSY

    breaking = BreakingStore(clock)
    pieces = RetryingStore(breaking, clock, lambda: 1.0).read("a/key")

    assert next(pieces) == b"first"
    with pytest.raises(StoreUnavailable):
        next(pieces)
    assert breaking.asked == 1


# Conclusions from a guarded write ------------------------------------------------------------


@pytest.mark.parametrize("last", [LOST, CONFLICT, BUSY, REFUSED], ids=["412", "409", "503", "403"])
def test_after_an_unknown_outcome_no_failure_says_that_nothing_was_written(
    flaky: FlakyStore, clock: FakeClock, last: StoreProblem
) -> None:
    store = RetryingStore(flaky, clock, lambda: 1.0)
    etag = flaky.inner.put("a/key", b"1")

    for write in (
        lambda: store.put_if_absent("b/key", b"2"),
        lambda: store.put_if_match("a/key", b"2", etag),
    ):
        flaky.troubles.clear()
        flaky.troubles.extend([UNKNOWN, *[last] * 100])
        with pytest.raises(OutcomeUnknown):
            write()


def test_our_own_first_attempt_is_not_taken_for_a_competitor(flaky: FlakyStore, clock: FakeClock) -> None:
    class AnswerLost(FlakyStore):
        def put_if_absent(self, key: str, body: bytes) -> str:
            self.inner.put_if_absent(key, body)
            raise UNKNOWN

    store = RetryingStore(AnswerLost(clock), clock, lambda: 1.0)

    with pytest.raises(OutcomeUnknown):
        store.put_if_absent("a/key", b"ours")
    assert store.get("a/key").body == b"ours"


def test_a_write_that_was_surely_not_sent_can_still_lose(store: RetryingStore, flaky: FlakyStore) -> None:
    flaky.troubles.extend([BUSY, LOST])

    with pytest.raises(PreconditionFailed):
        store.put_if_absent("a/key", b"1")


def test_a_write_that_never_got_through_is_unavailable(store: RetryingStore, flaky: FlakyStore) -> None:
    flaky.troubles.extend([BUSY] * 100)

    with pytest.raises(StoreUnavailable) as caught:
        store.put_if_absent("a/key", b"1")
    assert not isinstance(caught.value, OutcomeUnknown)


def test_an_unknown_outcome_of_one_write_says_nothing_of_the_next(
    store: RetryingStore, flaky: FlakyStore
) -> None:
    flaky.troubles.extend([UNKNOWN, LOST])
    with pytest.raises(OutcomeUnknown):
        store.put_if_absent("a/key", b"1")

    flaky.troubles.append(LOST)
    with pytest.raises(PreconditionFailed):
        store.put_if_absent("a/key", b"1")
