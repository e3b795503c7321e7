"""Worker threads and background work."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Barrier, Event, current_thread

import pytest

from cloudq.adapters.workers import ThreadWorkers
from cloudq.application.agent.background_work import BackgroundWork
from cloudq.ports.workers import Lane
from tests.parts.inline_workers import InlineWorkers
from tests.parts.world import RecordingLog

SOON_S = 10.0


@pytest.fixture
def workers() -> Iterator[ThreadWorkers]:
    workers = ThreadWorkers(2)
    yield workers
    workers.close()


def test_as_many_items_as_there_are_workers_are_worked_on_at_once(workers: ThreadWorkers) -> None:
    both_are_there = Barrier(2)

    assert workers.map(lambda item: (both_are_there.wait(SOON_S), item * 2)[1], [1, 2]) == [2, 4]


def test_an_error_is_raised_once_all_items_are_done(workers: ThreadWorkers) -> None:
    done = []

    def work(item: int) -> None:
        if item == 1:
            raise ValueError("one")
        done.append(item)

    with pytest.raises(ValueError, match="one"):
        workers.map(work, [1, 2, 3, 4])
    assert sorted(done) == [2, 3, 4]


def test_started_work_leaves_the_workers_free(workers: ThreadWorkers) -> None:
    go_on = Event()
    slow = [workers.start(lambda: go_on.wait(SOON_S), Lane.STAGE_OUT) for _ in range(4)]

    assert workers.map(str, [1]) == ["1"]
    assert not slow[0].is_done()
    go_on.set()
    slow[0].wait(SOON_S)
    assert slow[0].result()


def test_inline_workers_keep_an_error_for_whoever_asks() -> None:
    started = InlineWorkers().start(lambda: 1 / 0, Lane.SUBMIT)

    assert started.is_done()
    with pytest.raises(ZeroDivisionError):
        started.result()


def test_background_work_goes_on_after_it_went_wrong_and_tells_it_once() -> None:
    log, runs, enough = RecordingLog(), [], Event()

    def work() -> None:
        runs.append(current_thread().name)
        if len(runs) == 4:
            enough.set()
        if len(runs) < 3:
            raise ValueError("not yet")

    background = BackgroundWork("heartbeat", work, 0.001, log, retry_s=0.001)
    background.start()
    assert enough.wait(SOON_S)
    background.stop()

    assert set(runs) == {"cloudq-heartbeat"}
    assert [(level, about["error"]) for level, _, about in log.told] == [("warning", "not yet")]
