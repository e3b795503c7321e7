"""A held job whose marker vanished was taken back, or must get its marker again (protocol I9)."""

from __future__ import annotations

from attrs import define

from cloudq.application.held_job import HeldJob, Holdings
from cloudq.application.job_trouble import JobTrouble
from cloudq.application.keep_hold import KeepHold
from cloudq.ports.job_repository import JobQueue


@define
class CheckMarkers:
    """Looks at the claims of held jobs that a listing did not show."""

    keep_hold: KeepHold
    queue: JobQueue
    holdings: Holdings
    trouble: JobTrouble
    system: str

    def __call__(self) -> None:
        """Check each of them once after the listing."""
        for held in [held for held in self.holdings.held.values() if held.has_lost_its_marker]:
            with self.trouble.of(held):
                self._check(held)

    def _check(self, held: HeldJob) -> None:
        if self.keep_hold.is_replaced(held):
            self.holdings.let_go(held.tag, superseded=True)
        else:
            self.queue.invite(self.system, held.tag)
        held.has_lost_its_marker = False
