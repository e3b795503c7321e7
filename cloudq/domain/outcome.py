"""A task's state from evidence (protocol section 5): what it left, what the scheduler says.

A question that failed is not evidence: callers pass only answers.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from attrs import frozen

from cloudq.domain.job_state import JobState
from cloudq.domain.task_states import TaskState

GRACE_S = 120.0
"""How long a job may be missing from the scheduler, without an exit record, before it is lost."""

SIGNAL_BASE = 128


@frozen
class StartRecord:
    """What the job shell wrote before it started the script."""

    local_id: str
    host: str = ""
    time: datetime | None = None


@frozen
class ExitRecord:
    """What the job shell wrote after the script ended."""

    local_id: str
    exit_code: int
    signal: str = ""
    """The signal the job shell was sent before the script ended, such as ``TERM``."""
    host: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    stdout_size: int | None = None
    stderr_size: int | None = None


class Life(Enum):
    """What a scheduler says of a local job that it knows."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETING = "completing"
    ENDED = "ended"


@frozen
class SchedulerStatus:
    """One local job (or task), as the scheduler reported it in a query that succeeded."""

    life: Life
    verdict: JobState | None = None
    """The final state the scheduler's own code stands for, once it ended."""
    exit_code: int | None = None
    reason: str = ""


@frozen
class Evidence:
    """All that is known of one task."""

    start: StartRecord | None = None
    exit: ExitRecord | None = None
    status: SchedulerStatus | None = None
    """None: a successful query did not show the task."""
    cancel_accepted: bool = False
    absent_s: float = 0.0
    """Seconds on one's own clock since the first successful query that showed no live task."""
    grace_s: float = GRACE_S


def decide(evidence: Evidence) -> TaskState | None:
    """What *evidence* proves; None while it proves nothing new."""
    status = evidence.status
    if status is None:
        return _decide_unknown_to_scheduler(evidence)
    if status.life is Life.ENDED:
        return _decide_ended(evidence, status)
    return TaskState(_ALIVE[status.life], reason=status.reason)


_ALIVE = {
    Life.QUEUED: JobState.READY,
    Life.RUNNING: JobState.RUN,
    Life.COMPLETING: JobState.RUN,
}


def _decide_unknown_to_scheduler(evidence: Evidence) -> TaskState | None:
    if evidence.exit is not None:
        return _from_record(evidence.exit, cancel_accepted=evidence.cancel_accepted)
    if evidence.absent_s < evidence.grace_s:
        return None
    if evidence.cancel_accepted:
        return TaskState(JobState.DELETED, reason="canceled")
    return TaskState(JobState.ERROR, reason=_lost(evidence))


def _decide_ended(evidence: Evidence, status: SchedulerStatus) -> TaskState | None:
    record, verdict = evidence.exit, status.verdict
    if verdict is None:
        return _decide_unknown_to_scheduler(evidence)
    if record is not None:
        return _from_record_and_verdict(record, verdict, status.reason, evidence)
    if verdict is not JobState.DONE:
        return TaskState(verdict, status.exit_code, status.reason)
    if evidence.absent_s < evidence.grace_s:
        return None
    if evidence.start is None:
        return TaskState(
            JobState.ERROR, reason="lost: the scheduler says it finished, but the script never started"
        )
    return TaskState(JobState.DONE, status.exit_code or 0, "no exit record; the scheduler's own word")


def _from_record_and_verdict(
    record: ExitRecord, verdict: JobState, reason: str, evidence: Evidence
) -> TaskState:
    own_end = _from_record(record, cancel_accepted=evidence.cancel_accepted)
    if verdict in {JobState.TIMEOUT, JobState.DELETED}:
        if verdict is JobState.DELETED and own_end.state is JobState.DONE:
            return own_end
        return TaskState(verdict, record.exit_code, reason)
    if verdict is JobState.ERROR and own_end.state is JobState.DONE:
        return TaskState(JobState.ERROR, record.exit_code, reason or "the scheduler says it failed")
    return own_end


def _from_record(record: ExitRecord, *, cancel_accepted: bool) -> TaskState:
    code = record.exit_code
    if code == 0:
        return TaskState(JobState.DONE, 0)
    if cancel_accepted and (record.signal or code > SIGNAL_BASE):
        return TaskState(JobState.DELETED, code, "canceled")
    told = f", after it was sent {record.signal}" if record.signal else ""
    return TaskState(JobState.ERROR, code, f"exit code {code}{told}")


def _lost(evidence: Evidence) -> str:
    started = evidence.start
    where = f"started on {started.host or 'a host unknown'}" if started else "never seen to start"
    return (
        f"lost: {where}, unknown to the scheduler for {evidence.absent_s:.0f} s, and it left no exit record"
    )
