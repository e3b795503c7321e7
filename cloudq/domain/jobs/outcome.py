"""The state of a task, decided from evidence (protocol section 5): its records and the scheduler's answer.

A failed query is not evidence: callers pass only answers.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from attrs import field, frozen

from cloudq.domain.jobs.job_shell import NOT_ITS_TURN
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.task_states import TaskState

GRACE_S = 120.0
"""How long a job may be missing from the scheduler, without an exit record, before it counts as lost."""

_ENDED_BY_SIGNAL = frozenset(128 + number for number in (1, 2, 9, 10, 12, 15, 24))
"""The exit codes of a shell on Linux for HUP, INT, KILL, USR1, USR2, TERM and XCPU, the signals that are
sent to end jobs. 139 is a crash of the script itself, and 255 its own exit code."""


@frozen
class StartRecord:
    """The record that the job shell wrote before it started the script."""

    scheduler_job_id: str
    host: str = ""
    time: datetime | None = None


@frozen
class ExitRecord:
    """The record that the job shell wrote after the script ended."""

    scheduler_job_id: str
    exit_code: int
    signal: str = ""
    """The signal that the job shell received before the script ended, such as ``TERM``."""
    host: str = ""
    started: datetime | None = None
    finished: datetime | None = None


class Life(Enum):
    """The phase of a scheduler job, as the scheduler reports it."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETING = "completing"
    ENDED = "ended"


def _is_final_or_none(_status: object, _field: object, verdict: JobState | None) -> None:
    if verdict is not None and not verdict.is_final:
        raise ValueError(f"{verdict} is not a final state: no verdict")


@frozen
class SchedulerStatus:
    """One scheduler job (or task), as the scheduler reported it in a successful query."""

    life: Life
    verdict: JobState | None = field(default=None, validator=_is_final_or_none)
    """The final state that the scheduler's own code stands for, once the job has ended.

    DONE only if the code means that the exit code was 0 (Slurm's COMPLETED, ``Exit_status`` 0); None if the
    code means only that the job is over, or has an unknown meaning.
    """
    exit_code: int | None = None
    reason: str = ""
    never_ran: bool = False
    """Whether the verdict rests only on this: the job is gone, and accounting shows no run of it.

    Accounting may be late, so this counts only if there is no sign of a start either, and the job has been
    missing for long enough or the scheduler accepted a cancel from cloudq.
    """

    @property
    def may_concern_script(self) -> bool:
        """Return True if this may be how the script ended, not a submission that found the lock taken."""
        return not (self.verdict is JobState.ERROR and self.exit_code == NOT_ITS_TURN)


@frozen
class Evidence:
    """All that is known about one task."""

    start: StartRecord | None = None
    exit: ExitRecord | None = None
    status: SchedulerStatus | None = None
    """The scheduler's report; None if a successful query did not show the task."""
    cancel_accepted: bool = False
    absent_s: float = 0.0
    """Seconds on the agent's own clock since the first successful query that showed no live task."""
    grace_s: float = GRACE_S
    records_in_sight: bool = True
    """Whether records would be seen if they existed; they are not if another home holds them."""


def decide(evidence: Evidence) -> TaskState | None:
    """Return the state that *evidence* proves; None while it proves nothing new.

    DONE requires an exit record with code 0, or the scheduler's report of it for a script that was seen to
    start; any contradicting evidence takes precedence.
    """
    status = evidence.status
    if status is not None and status.life is not Life.ENDED:
        return TaskState(_ALIVE[status.life], reason=status.reason)
    if status is not None and not _counts(status, evidence):
        status = None
    if not evidence.records_in_sight:
        return _decide_out_of_sight(status)
    record = _record_that_counts(evidence)
    if status is None or status.verdict is None:
        return _decide_without_verdict(evidence, record)
    if record is None:
        return _decide_without_record(evidence, status, status.verdict)
    return _decide_from_both(record, status.verdict, status.reason, evidence)


def _counts(status: SchedulerStatus, evidence: Evidence) -> bool:
    return status.may_concern_script and (not status.never_ran or _has_never_run(evidence))


def _has_never_run(evidence: Evidence) -> bool:
    if not evidence.records_in_sight or evidence.start is not None or evidence.exit is not None:
        return False
    return evidence.cancel_accepted or evidence.absent_s >= evidence.grace_s


def _decide_out_of_sight(status: SchedulerStatus | None) -> TaskState | None:
    """Decide without records: only a verdict counts, and no answer never means an end (protocol 4.5)."""
    if status is None or status.verdict is None:
        return None
    reason, code = status.reason or _VERDICT_REASONS[status.verdict], status.exit_code
    if status.verdict is not JobState.DONE:
        return TaskState(status.verdict, code or None, reason)
    if code:
        return TaskState(JobState.ERROR, code, f"exit code {code}, as reported by the scheduler")
    return TaskState(JobState.DONE, 0, reason)


_ALIVE = {
    Life.QUEUED: JobState.READY,
    Life.RUNNING: JobState.RUN,
    Life.COMPLETING: JobState.RUN,
}

_VERDICT_REASONS = {
    JobState.DONE: "no exit record; as reported by the scheduler",
    JobState.ERROR: "the scheduler reports that it failed",
    JobState.TIMEOUT: "the scheduler ended it at its time limit",
    JobState.DELETED: "the scheduler reports that it was deleted",
}


def _record_that_counts(evidence: Evidence) -> ExitRecord | None:
    """Return the exit record, unless it belongs to another run than the one that started last.

    After a requeue, a job shell removes the record of the previous run, but may be killed before it does.
    """
    record, start = evidence.exit, evidence.start
    if record is None or start is None:
        return record
    if record.scheduler_job_id != start.scheduler_job_id:
        return None
    has_times = record.started is not None and start.time is not None
    # A run writes the same time into both records. Which time is later proves nothing: after a requeue,
    # the job may run on a machine whose clock is behind.
    return None if has_times and record.started != start.time else record


def _decide_without_verdict(evidence: Evidence, record: ExitRecord | None) -> TaskState | None:
    if record is not None:
        return _from_record(record, canceled=evidence.cancel_accepted)
    if evidence.absent_s < evidence.grace_s:
        return None
    if evidence.cancel_accepted:
        return TaskState(JobState.DELETED, reason="canceled")
    return TaskState(JobState.ERROR, reason=_lost(evidence))


def _decide_without_record(
    evidence: Evidence, status: SchedulerStatus, verdict: JobState
) -> TaskState | None:
    reason, code = status.reason or _VERDICT_REASONS[verdict], status.exit_code
    if verdict is JobState.DONE and not code:
        return _decide_on_word_alone(evidence, reason)
    if verdict is JobState.DONE:
        return TaskState(JobState.ERROR, code, f"exit code {code}, as reported by the scheduler")
    if verdict is JobState.ERROR and evidence.cancel_accepted and (not code or code in _ENDED_BY_SIGNAL):
        return TaskState(JobState.DELETED, code or None, "canceled")
    return TaskState(verdict, code or None, reason)  # a failed job's 0 is not the script's exit code


def _decide_on_word_alone(evidence: Evidence, reason: str) -> TaskState | None:
    """Decide if the scheduler reports exit code 0 and there is no exit record (yet)."""
    if evidence.absent_s < evidence.grace_s:
        return None
    if evidence.start is None:
        return TaskState(
            JobState.ERROR,
            reason="lost: the scheduler reports that it finished, but the script never started",
        )
    return TaskState(JobState.DONE, 0, reason)


def _decide_from_both(record: ExitRecord, verdict: JobState, reason: str, evidence: Evidence) -> TaskState:
    deleted = verdict is JobState.DELETED
    own_end = _from_record(record, canceled=evidence.cancel_accepted or deleted)
    if deleted and own_end.state is not JobState.DELETED:
        return own_end  # the script ended before the job was deleted
    if (
        deleted
        or verdict is JobState.TIMEOUT
        or (verdict is JobState.ERROR and own_end.state is JobState.DONE)
    ):
        return TaskState(verdict, record.exit_code, reason or _VERDICT_REASONS[verdict])
    if verdict is JobState.ERROR and own_end.state is JobState.ERROR and reason:
        return TaskState(own_end.state, own_end.exit_code, f"{reason}; {own_end.reason}")
    return own_end


def _from_record(record: ExitRecord, *, canceled: bool) -> TaskState:
    """Return the state that an exit record proves.

    A script that was signaled to end and then exits with 0 was canceled: its work may be incomplete.
    """
    code = record.exit_code
    if canceled and (record.signal or code in _ENDED_BY_SIGNAL):
        return TaskState(JobState.DELETED, code, "canceled")
    if code == 0:
        return TaskState(JobState.DONE, 0)
    signal_note = f", after it received {record.signal}" if record.signal else ""
    return TaskState(JobState.ERROR, code, f"exit code {code}{signal_note}")


def _lost(evidence: Evidence) -> str:
    started = evidence.start
    where = f"started on {started.host or 'an unknown host'}" if started else "no start record"
    return (
        f"lost: {where}, unknown to the scheduler for {evidence.absent_s:.0f} s, and it left no exit record"
    )
