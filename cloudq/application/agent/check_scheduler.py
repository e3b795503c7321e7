"""Check, before any job runs, that the scheduler's commands on this machine support what cloudq needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field

from cloudq.domain.errors import SchedulerUnavailable, SchedulerUnfit
from cloudq.ports.clock import Clock

ASK_AGAIN_AFTER_S = 600.0
"""The pause after a probe: an unavailable scheduler takes a minute to fail, too long for every cycle."""


@define
class CheckScheduler:
    """Probe the commands until one probe has succeeded.

    An agent whose ``squeue`` lacks an option would submit jobs and never learn how they ended.
    """

    unfit_commands: Callable[[], Sequence[str]]
    """See `BatchScheduler.unfit_commands`."""
    clock: Clock
    _is_fit: bool = field(default=False, init=False)
    _ask_at: float = field(default=0.0, init=False)

    def __call__(self) -> None:
        """Probe the commands if due. Raises `SchedulerUnfit`, but not if the scheduler is unavailable."""
        now = self.clock.elapsed()
        if self._is_fit or now < self._ask_at:
            return
        self._ask_at = now + ASK_AGAIN_AFTER_S
        try:
            problems = self.unfit_commands()
        except SchedulerUnavailable:
            return
        if problems:
            raise SchedulerUnfit(
                f"The scheduler's commands on this machine do not accept what cloudq needs, so the agent "
                f"does not run: {'; '.join(problems)}. Put the scheduler's own, newer commands first on "
                "the PATH of the shell that starts the agent."
            )
        self._is_fit = True
