"""Small work that is repeated in a thread of its own, so that no long step of a cycle starves it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

from attrs import define, field

from cloudq.application.agent.job_trouble import AgentLog

END_WITHIN_S = 5.0


@define
class BackgroundWork:
    """Does *work* again and again; what goes wrong is told once and tried again."""

    name: str
    work: Callable[[], object]
    every_s: float
    log: AgentLog
    retry_s: float = 5.0
    """How long to wait after it went wrong."""
    _stop: Event = field(factory=Event, init=False)
    _thread: Thread | None = field(default=None, init=False)
    _is_failing: bool = field(default=False, init=False)

    def start(self) -> None:
        """Begin."""
        self._thread = Thread(target=self._run, name=f"cloudq-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, once the work under way is done."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(END_WITHIN_S)

    def _run(self) -> None:
        while not self._stop.wait(self.retry_s if self._is_failing else self.every_s):
            try:
                self.work()
                self._is_failing = False
            except Exception as error:  # noqa: BLE001 (a thread that ends would never be missed)
                if not self._is_failing:
                    self.log.warning("work in the background went wrong", work=self.name, error=str(error))
                self._is_failing = True
