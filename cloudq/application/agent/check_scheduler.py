"""Make sure, before anything is run, that the scheduler's commands here take what is needed of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field

from cloudq.domain.errors import SchedulerUnavailable, SchedulerUnfit
from cloudq.ports.clock import Clock

ASK_AGAIN_AFTER_S = 600.0
"""A scheduler that is away takes a minute to say nothing: cycles must not wait for that each time."""


@define
class CheckScheduler:
    """Probes the commands until they have answered once.

    An agent whose ``squeue`` does not know an option would submit jobs and never learn of their ends.
    """

    unfit_commands: Callable[[], Sequence[str]]
    """See `BatchScheduler.unfit_commands`."""
    clock: Clock
    _is_fit: bool = field(default=False, init=False)
    _ask_at: float = field(default=0.0, init=False)

    def __call__(self) -> None:
        """Probe if it is due. Raises `SchedulerUnfit`; a scheduler that is away proves nothing."""
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
                f"The scheduler's commands on this machine do not take what cloudq needs of them, so no "
                f"agent runs here: {'; '.join(problems)}. Put the scheduler's own, newer commands first on "
                "the PATH of the shell that starts the agent; 'cloudqcli doctor' probes them again."
            )
        self._is_fit = True
