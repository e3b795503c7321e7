"""Worker threads, which wait for many requests at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from threading import Lock, Thread
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from attrs import define, field, frozen

from cloudq.ports.workers import Lane

T = TypeVar("T")
R = TypeVar("R")

FEWER: Mapping[Lane, int] = MappingProxyType({Lane.POLL: 1, Lane.DOWNLOAD: 3, Lane.SHIP: 3})
"""Lanes with fewer threads: one task at a time is enough, or more could fill a slow network line."""
CLOSE_WITHIN_S = 10.0
"""The time that an ending process waits for background work, which may hang in a request."""


@frozen
class _StartedInThread(Generic[R]):
    future: Future[R]

    def is_done(self) -> bool:
        return self.future.done()

    def wait(self, seconds: float) -> None:
        wait([self.future], timeout=seconds)

    def result(self) -> R:
        return self.future.result()


@define(eq=False)
class _BackgroundThreads:
    """At most *count* threads, created when they are needed.

    Unlike those of an executor, they are daemon threads: work that hangs in a request must not keep
    the process from ending.
    """

    name: str
    count: int
    _waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = field(
        factory=SimpleQueue, init=False
    )
    _threads: list[Thread] = field(factory=list, init=False)
    _unfinished: set[Future[Any]] = field(factory=set, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def start(self, work: Callable[[], R]) -> Future[R]:
        future: Future[R] = Future()
        with self._lock:
            self._unfinished.add(future)
            if len(self._threads) < min(self.count, len(self._unfinished)):
                self._threads.append(Thread(target=self._run, name=f"cloudq-{self.name}", daemon=True))
                self._threads[-1].start()
        future.add_done_callback(self._forget)
        self._waiting.put((future, work))
        return future

    def close(self) -> list[Future[Any]]:
        """Cancel waiting work and accept no more; return the work that is in progress."""
        with self._lock:
            unfinished = list(self._unfinished)
        for _ in self._threads:
            self._waiting.put(None)
        return [future for future in unfinished if not future.cancel()]

    def _forget(self, future: Future[Any]) -> None:
        with self._lock:
            self._unfinished.discard(future)

    def _run(self) -> None:
        while (task := self._waiting.get()) is not None:
            future, work = task
            if future.set_running_or_notify_cancel():
                _do(work, future)


def _do(work: Callable[[], R], future: Future[R]) -> None:
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 (raised again by result())
        future.set_exception(error)
    else:
        future.set_result(result)


@frozen
class ThreadWorkers:
    """At most *count* threads for `map`, and separate threads for each lane."""

    count: int
    _pool: ThreadPoolExecutor = field(init=False)
    _lanes: Mapping[Lane, _BackgroundThreads] = field(init=False)

    @_pool.default
    def _make_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.count, thread_name_prefix="cloudq")

    @_lanes.default
    def _make_lanes(self) -> Mapping[Lane, _BackgroundThreads]:
        return {
            lane: _BackgroundThreads(lane.value, min(self.count, FEWER.get(lane, self.count)))
            for lane in Lane
        }

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        futures = [self._pool.submit(work, item) for item in items]
        for future in futures:
            future.exception()
        return [future.result() for future in futures]

    def start(self, work: Callable[[], R], lane: Lane) -> _StartedInThread[R]:
        return _StartedInThread(self._lanes[lane].start(work))

    def close(self) -> None:
        """Drop waiting work and wait for work in progress, at most `CLOSE_WITHIN_S` for that of lanes."""
        under_way = [future for threads in self._lanes.values() for future in threads.close()]
        wait(under_way, timeout=CLOSE_WITHIN_S)
        self._pool.shutdown(wait=True, cancel_futures=True)
