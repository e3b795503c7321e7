"""Inform the owners of jobs that the scheduler does not answer.

Nothing else follows from its silence, not even for a script that left its exit record: the scheduler
may have requeued the job and will then run the script again (docs/decisions/0006-slurm.md).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import datetime

from attrs import define, field

from cloudq.application.agent.held_job import Followed, HeldJob
from cloudq.application.agent.job_trouble import JobTrouble
from cloudq.domain.jobs.outcome import ExitRecord
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import Clock

REPORT_AFTER_S = 120.0
"""Shorter pauses of a scheduler are not reported."""


@define
class NoteSilence:
    """Put a note on every followed job once the scheduler has been silent for `REPORT_AFTER_S`."""

    clock: Clock
    trouble: JobTrouble
    _from: float | None = field(default=None, init=False)
    """When the first query failed, by this machine's clock."""
    _since: datetime | None = field(default=None, init=False)
    _noted: dict[ClaimTag, Hashable] = field(factory=dict, init=False)
    """The jobs that have their note, each with the fingerprint of its records at that time."""

    def ended(self) -> None:
        """Note that the scheduler answered; the next look at each job replaces its note."""
        self._from = None
        self._noted.clear()

    def __call__(self, live: Iterable[HeldJob], words: str, now: float) -> None:
        """Note on the followed jobs why a query failed, in *words*, once the silence is long enough."""
        if self._from is None:
            self._from, self._since = now, self.clock.now()
        if now - self._from < REPORT_AFTER_S:
            return
        for held in live:
            fingerprint = held.require(Followed).fingerprint
            if self._noted.get(held.tag, NoteSilence) != fingerprint:
                with self.trouble.of(held):
                    self._noted[held.tag] = fingerprint
                    held.note = self._note(held, words)

    def _note(self, held: HeldJob, words: str) -> str:
        since = f"the scheduler has not answered since {self._since:%Y-%m-%d %H:%M} UTC: {words}"
        ends = _own_ends(held)
        if not ends:
            return since
        left = f"exit code {ends[0].exit_code}" if held.job.array_tid is None else f"{len(ends)} tasks ended"
        return f"its exit record shows: {left}; the state changes once the scheduler confirms it; {since}"


def _own_ends(held: HeldJob) -> list[ExitRecord]:
    if held.is_elsewhere:
        return []
    records = held.space.records(held.job.task_ids)
    return [
        task_records.exit
        for task_records in records.values()
        if task_records.exit and task_records.exit.scheduler_job_id == task_records.holder
    ]
