"""Provide workers that run background work only when a test requests it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field

from cloudq.ports.workers import Lane
from tests.parts.world import Agent


@define
class Later:
    """Work that runs when a test requests it."""

    work: Callable[[], Any]
    lane: Lane
    outcome: list[Callable[[], Any]] = field(factory=list)

    def is_done(self) -> bool:
        return bool(self.outcome)

    def wait(self, _: float) -> None:
        """Do nothing: waiting does not run the work."""

    def result(self) -> Any:
        return self.outcome[0]()

    def get_on(self) -> None:
        try:
            value = self.work()
        except Exception as error:  # noqa: BLE001 (kept for the caller of `result`)
            self.outcome.append(_raiser(error))
        else:
            self.outcome.append(lambda: value)


def _raiser(error: Exception) -> Callable[[], Any]:
    def raise_it() -> Any:
        raise error

    return raise_it


@define
class HeldUpWorkers:
    """Workers of which some lanes run only when a test requests it."""

    lanes: frozenset[Lane]
    waiting: list[Later] = field(factory=list)

    def map(self, work: Callable[[Any], Any], items: Any) -> list[Any]:
        return [work(item) for item in items]

    def start(self, work: Callable[[], Any], lane: Lane) -> Later:
        later = Later(work, lane)
        if lane in self.lanes:
            self.waiting.append(later)
        else:
            later.get_on()
        return later

    def get_on(self) -> None:
        """Run all waiting work."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.get_on()


def held_up(agent: Agent, *lanes: Lane) -> HeldUpWorkers:
    """Hold up these lanes of *agent*."""
    workers = HeldUpWorkers(frozenset(lanes))
    cycle = agent.parts.run.cycle
    for step in (cycle.hand_over_jobs, cycle.follow_jobs, cycle.finish_jobs, cycle.ship_logs):
        step.workers = workers
    return workers
