"""Ask agents for the present states of their jobs, and wait a short while for the answers (protocol 7.9)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobQueue

ANSWER_WITHIN_S = 12.0
"""Enough for an agent that looks at its doorbell every 5 s, and for a slow query of its scheduler."""
LOOK_EVERY_S = 1.0


@frozen
class RefreshStates:
    """Ask the agents of some systems; each asks its scheduler about all its jobs at once."""

    queue: JobQueue
    clock: Clock

    def __call__(self, claims: Mapping[str, ClaimTag]) -> tuple[str, ...]:
        """Return the systems whose agents did not answer; *claims* has one claim of each system to ask.

        The task states in the record of that claim are up to date, too, once its system has answered.
        """
        for system, tag in claims.items():
            self.queue.request_refresh(system, tag)
            self.queue.ring(system)
        waiting, began = dict(claims), self.clock.elapsed()
        while waiting and self.clock.elapsed() - began < ANSWER_WITHIN_S:
            self.clock.sleep(LOOK_EVERY_S)
            waiting = {
                system: tag for system, tag in waiting.items() if self.queue.is_refresh_requested(system, tag)
            }
        for system, tag in waiting.items():
            self.queue.drop_requests(system, refreshes=(tag,))
        return tuple(sorted(waiting))
