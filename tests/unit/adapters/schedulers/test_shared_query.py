"""Many threads with one question: they share one query at a time, which never began before they asked."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock

import pytest
from attrs import define, field

from cloudq.adapters.schedulers.shared_query import SharedQuery
from cloudq.domain.errors import SchedulerUnavailable

LONGEST_S = 10.0


@define(eq=False)
class SlowQuery:
    """A query that counts its calls; the first one lasts until it is released."""

    fails: bool = False
    begun: Event = field(factory=Event)
    go_on: Event = field(factory=Event)
    calls: int = 0
    _alone: Lock = field(factory=Lock)

    def __call__(self) -> int:
        assert self._alone.acquire(blocking=False), "two at once"
        try:
            self.calls += 1
            number = self.calls
            self.begun.set()
            assert self.go_on.wait(LONGEST_S)
        finally:
            self._alone.release()
        if self.fails:
            raise SchedulerUnavailable(f"no answer to {number}")
        return number


def asked_by_nine(query: SlowQuery) -> list[Future[int]]:
    """Begin a query in one thread, and ask in eight more while it is running."""
    shared = SharedQuery(query)
    with ThreadPoolExecutor(9) as pool:
        futures = [pool.submit(shared)]
        assert query.begun.wait(LONGEST_S)
        futures += [pool.submit(shared) for _ in range(8)]
        while shared._asked < 9:
            pass
        query.go_on.set()
    return futures


def test_those_who_asked_during_a_query_share_the_next_one() -> None:
    query = SlowQuery()

    assert [future.result() for future in asked_by_nine(query)] == [1] + [2] * 8


def test_a_failure_is_shared_like_an_answer() -> None:
    query = SlowQuery(fails=True)

    told = [str(future.exception()) for future in asked_by_nine(query)]

    assert told == ["no answer to 1"] + ["no answer to 2"] * 8


def test_who_asks_later_gets_an_answer_of_its_own() -> None:
    query = SlowQuery()
    query.go_on.set()
    shared = SharedQuery(query)
    assert [shared(), shared()] == [1, 2]

    query.fails = True
    with pytest.raises(SchedulerUnavailable):
        shared()
    query.fails = False

    assert shared() == 4
