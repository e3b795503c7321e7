"""The status of a task whose state in the scheduler's answer determines none."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from cloudq.domain.jobs.outcome import Life, SchedulerStatus

_MOST_CHARS = 60


@define(eq=False)
class UnclearStates:
    """Keeps the last status of such tasks, and warns once of each state that is unknown to cloudq."""

    scheduler: str
    warn: Callable[[str], object]
    expected: frozenset[str] = frozenset()
    """The states that are known to reveal nothing about the job itself."""
    _reported: set[str] = field(factory=set, init=False)

    def status(self, state: str, before: SchedulerStatus | None) -> SchedulerStatus:
        """Return the status *before*, unless it is a final one; without one, the task counts as queued."""
        if state not in self.expected and state not in self._reported:
            self._reported.add(state)
            self.warn(f"{self.scheduler} shows a state that is unknown to cloudq: {state[:_MOST_CHARS]}")
        if before is not None and before.life is not Life.ENDED:
            return before
        return SchedulerStatus(Life.QUEUED, reason=f"state {state[:_MOST_CHARS]}")
