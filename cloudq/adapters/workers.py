"""Workers: threads for waiting on many requests at once, or the caller itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from attrs import field, frozen

T = TypeVar("T")
R = TypeVar("R")


@frozen
class _StartedInThread(Generic[R]):
    future: Future[R]

    def is_done(self) -> bool:
        return self.future.done()

    def wait(self, seconds: float) -> None:
        wait([self.future], timeout=seconds)

    def result(self) -> R:
        return self.future.result()


@frozen
class ThreadWorkers:
    """At most *count* threads; bulk work that was started leaves the others to `map`."""

    count: int
    _pool: ThreadPoolExecutor = field(init=False)
    _background: ThreadPoolExecutor = field(init=False)

    @_pool.default
    def _make_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.count, thread_name_prefix="cloudq")

    @_background.default
    def _make_background(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.count, thread_name_prefix="cloudq-bulk")

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        futures = [self._pool.submit(work, item) for item in items]
        for future in futures:
            future.exception()
        return [future.result() for future in futures]

    def start(self, work: Callable[[], R]) -> _StartedInThread[R]:
        return _StartedInThread(self._background.submit(work))

    def close(self) -> None:
        """Wait for work under way and start none that waits."""
        for pool in (self._pool, self._background):
            pool.shutdown(wait=True, cancel_futures=True)


@frozen
class _Outcome(Generic[R]):
    value: R | None
    error: Exception | None

    def is_done(self) -> bool:
        return True

    def wait(self, seconds: float) -> None:
        """It is done already."""

    def result(self) -> R:
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # set whenever there is no error


@frozen
class InlineWorkers:
    """Everything at once and in order: for tests, simulations and library calls."""

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        return [work(item) for item in items]

    def start(self, work: Callable[[], R]) -> _Outcome[R]:
        try:
            return _Outcome(work(), None)
        except Exception as error:  # noqa: BLE001 (kept for whoever asks for the result)
            return _Outcome(None, error)
