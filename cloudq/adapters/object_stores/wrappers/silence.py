"""Report that a store does not answer, while its requests are still being retried."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define, field

from cloudq.domain.errors import StoreProblem

REPORT_AFTER_S = 2.0
LOOK_EVERY_S = 0.25


def in_background(look: Callable[[], bool]) -> None:
    """Call *look* a few times a second in another thread, until it returns False."""

    def run() -> None:
        pause = threading.Event()
        while look():
            pause.wait(LOOK_EVERY_S)

    threading.Thread(target=run, name="cloudq-silence", daemon=True).start()


@define(eq=False)
class _Request:
    began_at: float
    is_short: bool
    """Whether it should have an answer by now, unlike the transfer of a large file."""
    problem: StoreProblem | None = None
    """The failure of its last attempt."""


@define(eq=False)
class ReportSilence:
    """Watch requests; *report* once, from another thread, that one has had no answer for 2 s.

    The next report comes after a request has succeeded. Nothing about the attempts changes.
    """

    report: Callable[[str], object]
    elapsed: Callable[[], float]
    where: str
    """The store in words."""
    repeat: Callable[[Callable[[], bool]], object] = in_background
    """Calls a function repeatedly, until it returns False."""
    _requests: list[_Request] = field(factory=list, init=False)
    _is_reported: bool = field(default=False, init=False)
    _is_watching: bool = field(default=False, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    @contextmanager
    def __call__(self, *, is_short: bool) -> Iterator[Callable[[StoreProblem], object]]:
        """Watch one request for the block; yield a function for the failure of each attempt."""
        request = _Request(self.elapsed(), is_short)

        def note(problem: StoreProblem) -> None:
            request.problem = problem

        with self._lock:
            self._requests.append(request)
            begins, self._is_watching = not self._is_watching, True
        if begins:
            self.repeat(self.look)
        try:
            yield note
        finally:
            with self._lock:
                self._requests.remove(request)
        self._is_reported = False

    def look(self) -> bool:
        """Report a request without an answer; return whether requests are under way."""
        with self._lock:
            self._is_watching = bool(self._requests)
            late = [request for request in self._requests if self._is_late(request)]
            is_new, self._is_reported = bool(late) and not self._is_reported, self._is_reported or bool(late)
            is_watching = self._is_watching
        if is_new:
            problem = late[0].problem
            why = f"{self.where}: no answer yet" if problem is None else str(problem).partition("; ")[0]
            self.report(f"{why}: trying again …")
        return is_watching

    def _is_late(self, request: _Request) -> bool:
        is_over_time = self.elapsed() - request.began_at >= REPORT_AFTER_S
        return is_over_time and (request.is_short or request.problem is not None)
