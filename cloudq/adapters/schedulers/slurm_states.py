"""What each of Slurm's states means."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

from cloudq.domain.job_state import JobState
from cloudq.domain.outcome import Life, SchedulerStatus

CANCELED_BY = re.compile(r"CANCELLED by .*")
"""How sacct says who did it."""


@frozen
class Meaning:
    """What a state says while the job is listed, and once it is not any more."""

    life: Life
    verdict: JobState | None = None
    reason: str = ""
    when_gone: JobState | None = None
    """The verdict once the job is listed no more, for states that may or may not be an end."""

    def status(self, exit_code: int | None, told: str) -> SchedulerStatus:
        """As the port says it; *told* is Slurm's own reason."""
        reason = self.reason
        if self.life is Life.QUEUED:
            reason = "; ".join(part for part in (reason, told) if part)
        if self.life is not Life.ENDED:
            return SchedulerStatus(self.life, reason=reason)
        code = 0 if self.verdict is JobState.DONE else exit_code
        return SchedulerStatus(self.life, self.verdict, code, reason)


def _ended(verdict: JobState, reason: str = "") -> Meaning:
    return Meaning(Life.ENDED, verdict, reason)


_PENDING = Meaning(Life.QUEUED)
_HELD = Meaning(Life.QUEUED, reason="held by the scheduler")
_RUNNING = Meaning(Life.RUNNING)
_SUSPENDED = Meaning(Life.RUNNING, reason="suspended")

STATES: Mapping[str, Meaning] = {
    "PENDING": _PENDING,
    "CONFIGURING": _PENDING,
    "POWER_UP_NODE": _PENDING,
    "REQUEUED": _PENDING,
    "REQUEUE_FED": _PENDING,
    "REQUEUE_HOLD": _HELD,
    "RESV_DEL_HOLD": _HELD,
    "SPECIAL_EXIT": _HELD,
    "RUNNING": _RUNNING,
    "RESIZING": _RUNNING,
    "SIGNALING": _RUNNING,
    "STAGE_OUT": _RUNNING,
    "STOPPED": _SUSPENDED,
    "SUSPENDED": _SUSPENDED,
    "COMPLETING": Meaning(Life.COMPLETING),
    "PREEMPTED": Meaning(Life.QUEUED, reason="preempted", when_gone=JobState.ERROR),
    "COMPLETED": _ended(JobState.DONE),
    "FAILED": _ended(JobState.ERROR),
    "CANCELLED": _ended(JobState.DELETED, "canceled"),
    "REVOKED": _ended(JobState.DELETED, "it ran on another cluster of the federation"),
    "TIMEOUT": _ended(JobState.TIMEOUT, "the scheduler ended it at its time limit"),
    "DEADLINE": _ended(JobState.TIMEOUT, "the scheduler ended it at its deadline"),
    "OUT_OF_MEMORY": _ended(JobState.ERROR, "out of memory"),
    "NODE_FAIL": _ended(JobState.ERROR, "a node failed"),
    "BOOT_FAIL": _ended(JobState.ERROR, "a node could not be started"),
}
"""Every state that decides something, by the name that ``squeue %T`` shows."""

KEEP_LAST = frozenset({"LAUNCH_FAILED", "RECONFIG_FAIL", "UPDATE_DB"})
"""States that say nothing of the job itself: what was known before stays."""


def status_once_gone(status: SchedulerStatus, state: str) -> SchedulerStatus | None:
    """What *state*, the last one listed, proves when the job is listed no more; None: nothing."""
    if status.life is Life.ENDED:
        return status
    meaning = STATES.get(state)
    if meaning is None or meaning.when_gone is None:
        return None
    return SchedulerStatus(Life.ENDED, meaning.when_gone, reason=meaning.reason)
