"""The report that a store does not answer: once, after two seconds, without any effect on the attempts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import define, field

from cloudq.adapters.object_stores.wrappers.retrying import RetryingStore
from cloudq.adapters.object_stores.wrappers.silence import ReportSilence, in_background
from cloudq.domain.errors import StoreUnavailable
from cloudq.testing.fake_clock import FakeClock
from cloudq.testing.memory_store import MemoryStore

REFUSED = StoreUnavailable("bucket 'x': Could not connect (Connection refused); check endpoint_url")


@define
class Rig:
    """A watch whose looks a test makes, and what it reported."""

    clock: FakeClock = field(factory=FakeClock)
    reported: list[str] = field(factory=list)
    begun: int = 0

    def watch(self) -> ReportSilence:
        return ReportSilence(self.reported.append, self.clock.elapsed, "bucket x", self._repeat)

    def _repeat(self, _: Callable[[], bool]) -> None:
        self.begun += 1


def test_a_request_without_an_answer_is_reported_once_after_two_seconds() -> None:
    rig = Rig()
    watch = rig.watch()
    with watch(is_short=True):
        rig.clock.pass_by(1.9)
        watch.look()
        assert rig.reported == []
        for _ in range(5):
            rig.clock.pass_by(1)
            watch.look()

    assert rig.reported == ["bucket x: no answer yet: trying again …"]


def test_the_report_has_the_reason_of_the_last_attempt() -> None:
    rig = Rig()
    watch = rig.watch()
    with watch(is_short=True) as failed:
        failed(REFUSED)
        rig.clock.pass_by(2)
        watch.look()

    assert rig.reported == ["bucket 'x': Could not connect (Connection refused): trying again …"]


def test_a_long_transfer_is_no_silence_until_an_attempt_fails() -> None:
    rig = Rig()
    watch = rig.watch()
    with watch(is_short=False) as failed:
        rig.clock.pass_by(60)
        watch.look()
        assert rig.reported == []
        failed(REFUSED)
        watch.look()

    assert len(rig.reported) == 1


def test_another_outage_is_reported_again_a_longer_one_is_not() -> None:
    rig = Rig()
    watch = rig.watch()

    def request(seconds: float, *, fails: bool) -> None:
        with watch(is_short=True):
            rig.clock.pass_by(seconds)
            watch.look()
            if fails:
                raise REFUSED

    for _ in range(2):
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                request(20, fails=True)
        request(0.1, fails=False)

    assert len(rig.reported) == 2


def test_looking_ends_with_the_last_request_and_begins_with_the_next() -> None:
    rig = Rig()
    watch = rig.watch()
    with watch(is_short=True), watch(is_short=True):
        assert watch.look()
    assert (watch.look(), rig.begun) == (False, 1)

    with watch(is_short=True):
        assert (watch.look(), rig.begun) == (True, 2)


def test_attempts_are_as_many_as_without_a_watch() -> None:
    """The watch sees every failed attempt and the end of the request."""
    counts = []
    for is_watched in (False, True):
        rig = Rig()
        store = AwayStore(rig.clock)
        watch = rig.watch()
        retrying = RetryingStore(store, rig.clock, lambda: 1.0, **({"watch": watch} if is_watched else {}))
        with pytest.raises(StoreUnavailable):
            retrying.get("key")
        counts.append((store.asked, rig.clock.elapsed()))
        assert not watch.look()

    assert counts[0] == counts[1]


class AwayStore(MemoryStore):
    """A store that refuses connections."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock.now)
        self.asked = 0

    def get(self, key: str, *, max_bytes: int = 0) -> object:  # type: ignore[override]
        self.asked += 1
        raise REFUSED


def test_the_looks_are_made_in_the_background_until_they_end() -> None:
    import threading

    is_over = threading.Event()
    looks = iter([True, True, False])

    def look() -> bool:
        goes_on = next(looks)
        if not goes_on:
            is_over.set()
        return goes_on

    in_background(look)
    assert is_over.wait(10)
