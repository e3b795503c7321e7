"""Find jobs whose files are in this home and whose queue entries are gone (protocol 5.6)."""

from __future__ import annotations

from attrs import define, field

from cloudq.application.agent.holdings import Holdings
from cloudq.application.agent.job_trouble import JobTrouble
from cloudq.application.agent.keep_hold import KeepHold
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobQueue
from cloudq.ports.workspace import Workspace

EVERY_S = 3600.0
MOST_A_CYCLE = 100


@define
class FindForgotten:
    """Search this home for unlisted jobs, after the first listing of an epoch and then once an hour."""

    keep_hold: KeepHold
    queue: JobQueue
    workspace: Workspace
    clock: Clock
    holdings: Holdings
    trouble: JobTrouble
    system: str
    _looked_at: float | None = field(default=None, init=False)
    _left: list[ClaimTag] = field(factory=list, init=False)

    def look_again(self) -> None:
        """Make the next call search, however recent the last search was."""
        self._looked_at = None

    def __call__(self) -> None:
        """Put the queue entry of every forgotten job again; the next listing then shows it."""
        now = self.clock.elapsed()
        if self._looked_at is None or now - self._looked_at >= EVERY_S:
            self._looked_at, self._left = now, list(self.workspace.unfinished())
        chosen, self._left = self._left[:MOST_A_CYCLE], self._left[MOST_A_CYCLE:]
        known = self.holdings.known
        ours = [tag for tag in chosen if tag not in known and self._is_ours(tag)]
        for tag in ours:
            self.queue.invite(self.system, tag)
        if ours:
            self.queue.ring(self.system)

    def _is_ours(self, tag: ClaimTag) -> bool:
        ours = []
        with self.trouble.of_claim(tag):
            owner = self.workspace.space(tag).owner()
            if owner is not None and owner.system == self.system and self.keep_hold.recover(tag):
                ours.append(tag)
        return bool(ours)
