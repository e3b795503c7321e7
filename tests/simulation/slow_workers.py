"""Provide workers whose background work takes simulated time, so that cycles continue beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attrs import define, field

from cloudq.ports.workers import Lane

if TYPE_CHECKING:
    from tests.simulation.gate import Process
    from tests.simulation.life import Life

T = TypeVar("T")
R = TypeVar("R")


@define(eq=False)
class SlowWork(Generic[R]):
    """Work that was started; it is done all at once when it is due."""

    process: Process
    work: Callable[[], R]
    due: float
    value: R | None = None
    error: Exception | None = None
    is_over: bool = False

    def is_done(self) -> bool:
        return self.is_over

    def wait(self, seconds: float) -> None:
        """Let time pass, at most until the work is due."""
        life = self.process.life
        life.pass_by(max(0.0, min(seconds, self.due - life.clock.seconds)))
        self.do_if_due()

    def result(self) -> R:
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # set whenever there is no error

    def do_if_due(self) -> None:
        """Do the work if it is due and not already under way."""
        process = self.process
        if process.life.clock.seconds < self.due or self not in process.background:
            return
        process.background.remove(self)
        was_in_background, process.is_in_background = process.is_in_background, bool(process.life.site.work_s)
        process.in_flight += 1
        try:
            self.value = self.work()
        except Exception as error:  # noqa: BLE001 (kept for the caller of `result`)
            self.error = error
        finally:
            process.is_in_background = was_in_background
            process.in_flight -= 1
        self.is_over = True


@define
class SlowWorkers:
    """The port `Workers` of one process; without slow work, everything is done at once."""

    life: Life = field(repr=False)
    process: Process = field(repr=False)

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        return [work(item) for item in items]

    def start(self, work: Callable[[], R], lane: Lane) -> SlowWork[R]:
        life = self.life
        takes_s = life.odds.uniform(0, life.site.work_s) if life.site.work_s else 0.0
        started: SlowWork[Any] = SlowWork(self.process, work, life.clock.seconds + takes_s)
        self.process.background.append(started)
        started.do_if_due()
        return started
