"""Short work that is repeated in a separate thread, so that no long step of a cycle delays it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

from attrs import define, field

from cloudq.application.agent.job_trouble import AgentLog

END_WITHIN_S = 5.0


@define
class BackgroundWork:
    """Repeat *work* in a thread; log the first of several failures in a row, and retry after each."""

    name: str
    work: Callable[[], object]
    every_s: float
    log: AgentLog
    retry_s: float = 5.0
    """The pause after a failure, in place of `every_s`."""
    _stop: Event = field(factory=Event, init=False)
    _thread: Thread | None = field(default=None, init=False)
    _is_failing: bool = field(default=False, init=False)

    def start(self) -> None:
        """Start the thread."""
        self._thread = Thread(target=self._run, name=f"cloudq-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; wait at most `END_WITHIN_S` for the work under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(END_WITHIN_S)

    def _run(self) -> None:
        while not self._stop.wait(self.retry_s if self._is_failing else self.every_s):
            try:
                self.work()
                self._is_failing = False
            except Exception as error:  # noqa: BLE001 (else the thread would end unnoticed)
                if not self._is_failing:
                    self.log.warning("work in the background went wrong", work=self.name, error=str(error))
                self._is_failing = True
