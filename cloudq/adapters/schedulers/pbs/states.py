"""The meaning of PBS's states and exit statuses, and of the answers of its commands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from attrs import frozen

from cloudq.adapters.schedulers.commands import (
    MOST_MESSAGE_CHARS,
    every_line_matches,
    on_one_line,
    read_answer,
)
from cloudq.adapters.schedulers.pbs.parse import TaskRow, is_scheduler_job_id
from cloudq.domain.errors import SchedulerProblem, SubmitDeferred, SubmitRefused, SubmitUncertain
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus


@frozen
class Meaning:
    """The meaning of a job state."""

    life: Life
    reason: str = ""


STATES: Mapping[str, Meaning] = {
    "Q": Meaning(Life.QUEUED),
    "H": Meaning(Life.QUEUED, "held by the scheduler"),
    "T": Meaning(Life.QUEUED, "on its way to another queue"),
    "W": Meaning(Life.QUEUED, "waiting for its start time"),
    "R": Meaning(Life.RUNNING),
    "B": Meaning(Life.RUNNING),
    "S": Meaning(Life.RUNNING, "suspended"),
    "U": Meaning(Life.RUNNING, "suspended"),
    "E": Meaning(Life.COMPLETING),
    "F": Meaning(Life.ENDED),
    "X": Meaning(Life.ENDED),
    "C": Meaning(Life.ENDED),
}
"""Every state that determines a status, by the letter in ``job_state``."""

WAITING = frozenset(state for state, meaning in STATES.items() if meaning.life is Life.QUEUED)
ENDED = frozenset(state for state, meaning in STATES.items() if meaning.life is Life.ENDED)

KEEP_LAST = frozenset({"M"})
"""Moved to another server, the only one that has its state: the last known state is kept."""

_OF_THE_PAST = ("Job Array Began", "Job run at", "Subjob ")
"""Beginnings of comments that do not explain why a job waits.

They describe an array whose tasks run, an earlier run, or a deleted task (which PBS leaves on an array
that had no comment before).
"""

_TIME_LIMIT = "the scheduler ended it at its time limit"

EXIT_STATUSES: Mapping[int, tuple[JobState, str]] = {
    -1: (JobState.ERROR, "PBS could not start it, before it had its files"),
    -2: (JobState.ERROR, "PBS could not start it, after it had its files"),
    -3: (JobState.ERROR, "PBS could not start it and gave up"),
    -4: (JobState.ERROR, "ended when its node restarted"),
    -5: (JobState.ERROR, "ended when its node restarted: no checkpoint"),
    -6: (JobState.ERROR, "ended when its node restarted: checkpointed"),
    -7: (JobState.ERROR, "ended when its node restarted: not from its checkpoint"),
    -10: (JobState.ERROR, "its account is unknown on the node"),
    -11: (JobState.ERROR, "PBS could not run it again"),
    -12: (JobState.ERROR, "PBS could not take a checkpoint"),
    -13: (JobState.ERROR, "its password was refused"),
    -14: (JobState.ERROR, "its nodes could not join"),
    -15: (JobState.ERROR, "PBS requeued it while it was being deleted"),
    -16: (JobState.ERROR, "PBS could not start it: a hook requeued it"),
    -17: (JobState.ERROR, "a hook of the site deleted it"),
    -18: (JobState.ERROR, "a hook of the site requeued it"),
    -19: (JobState.ERROR, "a hook of the site deleted it"),
    -20: (JobState.ERROR, "a node failed"),
    -21: (JobState.ERROR, "its credentials were refused"),
    -22: (JobState.ERROR, "a hook of the site failed"),
    -23: (JobState.ERROR, "its Kerberos ticket was refused"),
    -24: (JobState.ERROR, "it used more CPUs than it asked for"),
    -25: (JobState.ERROR, "it used more CPUs than it asked for"),
    -26: (JobState.ERROR, "out of memory: it used more vmem than it asked for"),
    -27: (JobState.ERROR, "out of memory: it used more than it asked for"),
    -28: (JobState.ERROR, "it used more CPU time than it asked for"),
    -29: (JobState.TIMEOUT, _TIME_LIMIT),
    -30: (JobState.ERROR, "its nodes could not join"),
    -31: (JobState.ERROR, "out of memory: it used more high bandwidth memory than it asked for"),
    -32: (JobState.ERROR, "PBS requeued it because its node had lost it"),
}
"""The exit statuses that PBS itself assigns to jobs that have ended."""

_TERMINATED, _FINISHED, _FAILED = 91, 92, 93
"""Substates of an ended job: deleted or given up by PBS, exit status 0, any other exit status."""

_SIGNAL = 256
_TERM = _SIGNAL + 15
_ENDED_BY_SIGNAL = frozenset({128 + 9, 128 + 15})
_KILLED_FOR_TIME = re.compile(r"walltime\b.*\bexceeded|exceeded resource walltime")
_TERMINATED_BY = re.compile(r"\bterminated(?: by \S+)?$")
_DELETED = "deleted"
_DEPENDENCY = "PBS deleted it before it ran: a job that it depends on failed, was deleted or is unknown"
_NOTHING_KEPT = "deleted before it ran: PBS has no record of a run"

_SUBJOB_ENDS: Mapping[str, tuple[JobState, str]] = {
    "Subjob failed": (JobState.ERROR, "it failed; PBS kept no other details"),
    "Subjob terminated": (JobState.DELETED, _DELETED),
}
"""Comments that describe a task although the rest of its row is the array's, up to version 22."""

HOLDS: Mapping[str, str] = {
    "u": "held by its user",
    "o": "held by an operator",
    "s": "held by the scheduler",
    "p": "held for a bad password",
}
"""The meaning of each letter of ``Hold_Types``."""


def status_of(row: TaskRow) -> SchedulerStatus | None:
    """Convert *row* to the port's status; None for a state that determines no status."""
    meaning = STATES.get(row.state)
    if meaning is None:
        return None
    if meaning.life is Life.ENDED:
        return _end(row) if row.is_own else _end_by_array(row)
    if meaning.life is not Life.QUEUED:
        return SchedulerStatus(meaning.life, reason=meaning.reason)
    return SchedulerStatus(Life.QUEUED, reason="; ".join(_why_it_waits(row, meaning.reason)))


def _why_it_waits(row: TaskRow, of_state: str) -> Iterator[str]:
    holds = [HOLDS[letter] for letter in row.holds if letter in HOLDS]
    yield from holds or ([of_state] if of_state else ())
    if row.depends:
        yield f"depends on {row.depends}"
    _, failure = EXIT_STATUSES.get(row.exit_status or 0, (None, ""))
    if failure and row.is_own:
        yield f"requeued: {failure}"
    if row.comment and not row.comment.startswith(_OF_THE_PAST):
        yield row.comment


def _end_by_array(row: TaskRow) -> SchedulerStatus:
    """Return the status of an ended task whose row has the array's values, and so no exit status.

    PBS shows tasks in this way that were deleted before they ran and, once the whole array is deleted,
    also tasks that had ended in another way: those have left a start record.
    """
    if _was_never_begun(row):
        return SchedulerStatus(Life.ENDED, JobState.ERROR, None, _DEPENDENCY)
    verdict, reason = _SUBJOB_ENDS.get(row.comment, (JobState.DELETED, _NOTHING_KEPT))
    return SchedulerStatus(Life.ENDED, verdict, None, reason, never_ran=row.comment not in _SUBJOB_ENDS)


def _end(row: TaskRow) -> SchedulerStatus:
    code = row.exit_status
    if code is None:
        return _end_without_status(row)
    if code < 0:
        verdict, reason = EXIT_STATUSES.get(code, (JobState.ERROR, f"PBS ended it: Exit_status {code}"))
        return SchedulerStatus(Life.ENDED, verdict, None, reason)
    shown = code if code < _SIGNAL else 128 + (code - _SIGNAL) % 128
    if was_terminated(row):
        return SchedulerStatus(Life.ENDED, *_termination(row, shown))
    if (code > _SIGNAL or code in _ENDED_BY_SIGNAL) and _is_over_time(row):
        return SchedulerStatus(Life.ENDED, JobState.TIMEOUT, shown, _TIME_LIMIT)
    if code == _TERM and row.substate is None:
        return SchedulerStatus(Life.ENDED, JobState.DELETED, shown, _DELETED)
    if code > _SIGNAL:
        return SchedulerStatus(Life.ENDED, JobState.ERROR, shown, f"ended by signal {code - _SIGNAL}")
    return SchedulerStatus(Life.ENDED, JobState.ERROR if code else JobState.DONE, shown)


def _end_without_status(row: TaskRow) -> SchedulerStatus:
    """Return the status of a job that never ran, or of which PBS kept only that it ended."""
    if was_terminated(row):
        return SchedulerStatus(Life.ENDED, *_termination(row, None))
    if _was_never_begun(row):
        return SchedulerStatus(Life.ENDED, JobState.ERROR, None, _DEPENDENCY)
    if row.substate == _FAILED or row.comment.endswith("failed"):
        return SchedulerStatus(Life.ENDED, JobState.ERROR)
    if row.state == "F" and row.substate != _FINISHED and row.used_s is None:
        return SchedulerStatus(Life.ENDED, JobState.DELETED, None, _DELETED)
    return SchedulerStatus(Life.ENDED)


def _was_never_begun(row: TaskRow) -> bool:
    """Return whether PBS ended a job, or a whole array, that was not deleted and that never ran."""
    return row.substate == _FINISHED and not row.has_run


def was_terminated(row: TaskRow) -> bool:
    """Return whether the job was deleted, or PBS gave it up."""
    return row.substate == _TERMINATED or bool(_TERMINATED_BY.search(row.comment))


def _termination(row: TaskRow, code: int | None) -> tuple[JobState, int | None, str]:
    """Return the final state of a job that was deleted, or that PBS gave up after many failed starts."""
    if "too many failed attempts" in row.comment:
        return JobState.ERROR, code, row.comment
    return JobState.DELETED, code, _DELETED


def _is_over_time(row: TaskRow) -> bool:
    """Return whether usage or comment shows an exceeded time limit (for versions without status -29)."""
    if _KILLED_FOR_TIME.search(row.comment):
        return True
    return row.used_s is not None and row.limit_s is not None and row.used_s >= row.limit_s > 0


# qstat -------------------------------------------------------------------------------------------

_NOT_KNOWN = re.compile(
    r"(?:Unknown Job Id|Job has finished)\s+(?P<id>[0-9]{1,12})\b"
    r"|(?P<first>\b[0-9]{1,12})\S* Job has finished"
)
_NO_HISTORY = re.compile(r"not configured to maintain job history", re.IGNORECASE)
_BEYOND = re.compile(
    r"^\s*usage:|conflicting options|invalid option|illegal option", re.IGNORECASE | re.MULTILINE
)
_TABLE = re.compile(r"^\s*Job ID\s+Username\b", re.MULTILINE)


def numbers_not_known(stderr: str) -> frozenset[int]:
    """Return the sequence numbers of the jobs that qstat itself reports as unknown."""
    return frozenset(int(match["id"] or match["first"]) for match in _NOT_KNOWN.finditer(stderr))


def keeps_no_history(stderr: str) -> bool:
    """Return whether PBS forgets jobs as soon as they have ended."""
    return _NO_HISTORY.search(stderr) is not None


def is_beyond_this_qstat(stdout: str, stderr: str) -> bool:
    """Return whether this version of qstat lacks the options that it was called with."""
    return bool(_BEYOND.search(stderr) or _TABLE.search(stdout))


# qsub, qdel --------------------------------------------------------------------------------------

_Problem = type[SchedulerProblem]

QSUB_PROBLEMS: tuple[tuple[re.Pattern[str], _Problem], ...] = tuple(
    (re.compile(words, re.IGNORECASE), problem)
    for words, problem in (
        # The request was not sent: the server does not exist, at the moment or at all.
        (r"unknown host\b", SubmitDeferred),
        # The request was sent, or may have been: the job may exist.
        (r"cannot connect to server|couldn't connect|connection (?:refused|reset|timed out)|no route to host",
         SubmitUncertain),
        (r"timed? ?out|end of file|batch protocol error|protocol failure|premature|errno=15\d\d\d",
         SubmitUncertain),
        (r"server shutting down|server internal error|system error|no free connections|connection table full",
         SubmitUncertain),
        (r"invalid credential|expired credential|munge|retry to submit a job exhausted", SubmitUncertain),
        # More than any job may have: trying again does not help.
        (r"violates queue and/or server resource limits|exceeds server or queue size limit", SubmitRefused),
        # Too much at the moment.
        (r"would exceed (?:\S+ )*?(?:limit|per-\w+ limit)|maximum number of jobs", SubmitDeferred),
        (r"temporarily unavailable|resource busy|license|queue is not enabled|try again", SubmitDeferred),
        (r"no space left|disk quota exceeded|cannot allocate memory|out of memory", SubmitDeferred),
    )
)  # fmt: skip
"""The first pattern found in qsub's message decides; any other message is a permanent refusal."""


def read_qsub_answer(status: str, stdout: str, stderr: str) -> str | None:
    """Return the scheduler job id that ``qsub`` printed; None while there is no answer.

    Raises `SubmitRefused`, `SubmitDeferred` or `SubmitUncertain`, depending on qsub's message.
    """
    return read_answer(
        "qsub", (status, stdout, stderr), job_in=_job_in, message_in=_message_in, problem_of=_problem_of
    )


def _job_in(line: str) -> str | None:
    return line if is_scheduler_job_id(line) else None


def _message_in(_stdout: str, stderr: str) -> str:
    return without_usage(stderr)


def _problem_of(message: str) -> SchedulerProblem:
    kinds = (problem for pattern, problem in QSUB_PROBLEMS if pattern.search(message))
    return next(kinds, SubmitRefused)(message[:MOST_MESSAGE_CHARS])


_USAGE = re.compile(r"^\s*usage:", re.IGNORECASE | re.MULTILINE)


def without_usage(stderr: str) -> str:
    """Return a command's message as one line, without the usage text that may follow."""
    usage = _USAGE.search(stderr)
    words = on_one_line(stderr[: usage.start() if usage else None])
    return words or ("it printed its usage: it does not support these options" if usage else "")


_NOTHING_TO_DELETE = re.compile(
    r"unknown job id|job has finished|invalid for (?:state of job|finished)|delete already in progress",
    re.IGNORECASE,
)


def is_only_about_ended_jobs(stderr: str) -> bool:
    """Return whether qdel complained only about jobs that have ended, are ending or are unknown."""
    return every_line_matches(_NOTHING_TO_DELETE, stderr)
