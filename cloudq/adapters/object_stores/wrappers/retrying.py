"""A retry policy for any store (protocol section 1)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol, TypeVar

from attrs import frozen

from cloudq.domain.errors import (
    CloudqError,
    OutcomeUnknown,
    PreconditionFailed,
    StoreProblem,
    StoreUnavailable,
    WriteConflict,
)
from cloudq.ports.clock import Clock
from cloudq.ports.object_store import (
    MAX_CONTROL_BYTES,
    ListPage,
    ObjectStore,
    StoredObject,
    Unchanged,
    UnfinishedUpload,
    forget_progress,
)

Result = TypeVar("Result")

DEADLINE_S = 20.0
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
MAX_CONTROL_ATTEMPTS = 16
"""Also ends the attempts if the clock no longer sleeps because the process was asked to stop."""
MAX_BULK_ATTEMPTS = 5

_WORTH_ANOTHER_TRY = (StoreUnavailable, WriteConflict)


class Watch(Protocol):
    """A function that watches one request with all its attempts."""

    def __call__(self, *, is_short: bool) -> AbstractContextManager[Callable[[StoreProblem], object]]:
        """Return a context for the request, which yields a function for the failure of each attempt.

        *is_short* if an answer should come within seconds.
        """
        ...


def unwatched(*, is_short: bool) -> AbstractContextManager[Callable[[StoreProblem], object]]:  # noqa: ARG001
    """Watch nothing."""
    return nullcontext(lambda _: None)


def random_fraction() -> float:
    """Return a random number between 0 and 1."""
    return int.from_bytes(os.urandom(2)) / 65535


@frozen
class RetryingStore:
    """A store that passes everything on to *inner* and retries errors that may be temporary.

    A control request is retried only if an attempt as slow as the slowest so far would still end
    within *deadline_s*. Bulk transfers have no deadline, but few attempts.
    """

    inner: ObjectStore
    clock: Clock
    jitter: Callable[[], float] = random_fraction
    """A number between 0 and 1, so that writers that collided once do not collide again."""
    deadline_s: float = DEADLINE_S
    watch: Watch = unwatched

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        return self._control(lambda: self.inner.get(key, max_bytes=max_bytes))

    def get_if_changed(
        self, key: str, etag: str, *, max_bytes: int = MAX_CONTROL_BYTES
    ) -> StoredObject | Unchanged:
        return self._control(lambda: self.inner.get_if_changed(key, etag, max_bytes=max_bytes))

    def put(self, key: str, body: bytes) -> str:
        return self._control(lambda: self.inner.put(key, body))

    def put_if_absent(self, key: str, body: bytes) -> str:
        return self._conditional(key, lambda: self.inner.put_if_absent(key, body))

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        return self._conditional(key, lambda: self.inner.put_if_match(key, body, etag))

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        return self._control(
            lambda: self.inner.list_page(prefix, start_after=start_after, delimiter=delimiter, limit=limit)
        )

    def delete(self, keys: Sequence[str]) -> None:
        self._control(lambda: self.inner.delete(keys))

    def upload(self, key: str, source: Path) -> None:
        self._bulk(lambda: self.inner.upload(key, source))

    def upload_pieces(self, key: str, pieces: Iterator[bytes], *, expected_bytes: int = 0) -> int:
        # Pieces can be taken only once: a caller that can make them again starts again.
        return self.inner.upload_pieces(key, pieces, expected_bytes=expected_bytes)

    def unfinished_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
        yield from self._control(lambda: list(self.inner.unfinished_uploads(prefix)))

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        self._control(lambda: self.inner.abort_upload(upload))

    def download(
        self,
        key: str,
        target: Path,
        *,
        max_bytes: int | None = None,
        note: Callable[[int], object] = forget_progress,
    ) -> int:
        return self._bulk(lambda: self.inner.download(key, target, max_bytes=max_bytes, note=note))

    def read(self, key: str) -> Iterator[bytes]:
        first, remaining = self._bulk(lambda: _begun(self.inner.read(key)), is_short=True)
        if first is not None:
            yield first
            # Yielded pieces cannot be taken back: from here on, the reader must handle errors.
            yield from remaining

    def _control(self, ask: Callable[[], Result]) -> Result:
        attempts = _Attempts(self.clock, self.jitter, MAX_CONTROL_ATTEMPTS, self.deadline_s)
        with self.watch(is_short=True) as failed:
            return attempts.run(ask, failed)

    def _bulk(self, ask: Callable[[], Result], *, is_short: bool = False) -> Result:
        attempts = _Attempts(self.clock, self.jitter, MAX_BULK_ATTEMPTS, None)
        with self.watch(is_short=is_short) as failed:
            return attempts.run(ask, failed)

    def _conditional(self, key: str, ask: Callable[[], str]) -> str:
        """Run a conditional write; once an attempt may have written, any failure is an `OutcomeUnknown`."""
        maybe_written = False

        def attempt() -> str:
            nonlocal maybe_written
            try:
                return ask()
            except OutcomeUnknown:
                maybe_written = True
                raise

        try:
            return self._control(attempt)
        except OutcomeUnknown:
            raise
        except CloudqError as error:
            if not maybe_written:
                raise
            met = "the object exists" if isinstance(error, PreconditionFailed) else str(error)
            raise OutcomeUnknown(
                f"an earlier attempt without an answer may have written {key}; the last attempt: {met}"
            ) from error


class _Attempts:
    """The attempts at one request."""

    def __init__(
        self, clock: Clock, jitter: Callable[[], float], most: int, deadline_s: float | None
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._most = most
        self._ends = None if deadline_s is None else clock.elapsed() + deadline_s
        self._slowest_s = 0.0

    def run(self, ask: Callable[[], Result], failed: Callable[[StoreProblem], object]) -> Result:
        for done in range(1, self._most):
            begun = self._clock.elapsed()
            try:
                return ask()
            except _WORTH_ANOTHER_TRY as error:
                failed(error)
                self._slowest_s = max(self._slowest_s, self._clock.elapsed() - begun)
                self._wait_for_another(done, error)
        return ask()

    def _wait_for_another(self, done: int, error: StoreProblem) -> None:
        """Sleep, or raise *error* if another attempt might end too late."""
        pause_s = min(FIRST_PAUSE_S * 2 ** (done - 1), LONGEST_PAUSE_S) * (0.5 + self._jitter() / 2)
        if self._ends is not None and self._clock.elapsed() + pause_s + self._slowest_s > self._ends:
            raise error
        self._clock.sleep(pause_s)


def _begun(pieces: Iterator[bytes]) -> tuple[bytes | None, Iterator[bytes]]:
    return next(pieces, None), pieces
