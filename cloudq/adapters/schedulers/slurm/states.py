"""The meaning of each of Slurm's states."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus

CANCELED_BY = re.compile(r"CANCELLED by .*")
"""The state in which sacct names the user who canceled the job."""


_SCRIPTS_OWN = re.compile(r"NonZeroExitCode|RaisedSignal(?::([0-9]+).*)?")
_LAST_SIGNAL_OF_A_SCRIPT = 31
"""Higher numbers are real-time signals, which Slurm itself uses: 53 marks a job that it could not start."""
_RESTATES = frozenset({"None", "OutOfMemory"})
_CANCEL_REASONS = frozenset({"DependencyNeverSatisfied", "InactiveLimit", "ReservationDeleted"})
"""Reasons why a job was canceled; any other reason of a canceled job is what it last waited for."""


def is_scripts_own(reason: str) -> bool:
    """Return whether *reason* means that the script itself failed, not Slurm in running it."""
    match = _SCRIPTS_OWN.fullmatch(reason)
    return match is not None and int(match[1] or 0) <= _LAST_SIGNAL_OF_A_SCRIPT


@frozen
class Meaning:
    """The meaning of a state, while the job is listed and once it is gone."""

    life: Life
    verdict: JobState | None = None
    reason: str = ""
    when_gone: JobState | None = None
    """The verdict once the job is no longer listed, for states that may or may not be final."""
    is_scripts_failure: bool = False
    """Whether Slurm's exit code may be the script's; in other states Slurm makes it up."""

    def has_scripts_exit_code(self, cause: str) -> bool:
        """Return whether the exit code of a job with Slurm's reason *cause* is that of its script."""
        return self.is_scripts_failure and (not cause or is_scripts_own(cause))

    def status(self, exit_code: int | None, cause: str) -> SchedulerStatus:
        """Return the port's status for this state; *cause* is Slurm's own reason."""
        if self.life is Life.QUEUED:
            return SchedulerStatus(self.life, reason="; ".join(filter(None, (self.reason, cause))))
        if self.life is not Life.ENDED:
            return SchedulerStatus(self.life, reason=self.reason)
        if self.verdict is JobState.DONE:
            return SchedulerStatus(self.life, self.verdict, 0, self.reason)
        if self.has_scripts_exit_code(cause):
            return SchedulerStatus(self.life, self.verdict, exit_code, self.reason)
        return SchedulerStatus(self.life, self.verdict, None, self._reason_with(cause))

    def _reason_with(self, cause: str) -> str:
        adds = cause not in _RESTATES if self.verdict is JobState.ERROR else cause in _CANCEL_REASONS
        return f"{self.reason or 'failed by the scheduler'}: {cause}" if cause and adds else self.reason


def _ended(verdict: JobState, reason: str = "") -> Meaning:
    return Meaning(Life.ENDED, verdict, reason)


_PENDING = Meaning(Life.QUEUED)
_HELD = Meaning(Life.QUEUED, reason="held by the scheduler")
_RUNNING = Meaning(Life.RUNNING)
_SUSPENDED = Meaning(Life.RUNNING, reason="suspended")

STATES: Mapping[str, Meaning] = {
    "PENDING": _PENDING,
    "CONFIGURING": _PENDING,
    "EXPEDITING": Meaning(Life.QUEUED, reason="will run again as soon as its nodes are healthy"),
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
    "FAILED": Meaning(Life.ENDED, JobState.ERROR, is_scripts_failure=True),
    "CANCELLED": _ended(JobState.DELETED, "canceled"),
    "REVOKED": _ended(JobState.DELETED, "it ran on another cluster of the federation"),
    "TIMEOUT": _ended(JobState.TIMEOUT, "the scheduler ended it at its time limit"),
    "DEADLINE": _ended(JobState.TIMEOUT, "the scheduler ended it at its deadline"),
    "OUT_OF_MEMORY": _ended(JobState.ERROR, "out of memory"),
    "NODE_FAIL": _ended(JobState.ERROR, "a node failed"),
    "BOOT_FAIL": _ended(JobState.ERROR, "a node could not be started"),
}
"""Every state that determines a status, by the name that ``squeue %T`` shows."""

KEEP_LAST = frozenset({"LAUNCH_FAILED", "RECONFIG_FAIL", "UPDATE_DB"})
"""States that reveal nothing about the job itself: the last known state is kept."""


def status_once_gone(status: SchedulerStatus, state: str) -> SchedulerStatus | None:
    """Return what *state*, the last one listed, proves once the job is no longer listed; None: nothing."""
    if status.life is Life.ENDED:
        return status
    meaning = STATES.get(state)
    if meaning is None or meaning.when_gone is None:
        return None
    return SchedulerStatus(Life.ENDED, meaning.when_gone, reason=meaning.reason)
