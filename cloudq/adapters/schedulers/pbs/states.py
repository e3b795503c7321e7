"""What each of PBS's states and exit statuses means, and what each of its commands' answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from attrs import frozen

from cloudq.adapters.schedulers.pbs.parse import TaskRow, is_local_id
from cloudq.domain.errors import (
    NoJobId,
    SchedulerProblem,
    SubmitDeferred,
    SubmitRefused,
    SubmitUncertain,
)
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus


@frozen
class Meaning:
    """What a state says of a job."""

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
"""Every state that decides something, by the letter in ``job_state``."""

WAITING = frozenset(state for state, meaning in STATES.items() if meaning.life is Life.QUEUED)
ENDED = frozenset(state for state, meaning in STATES.items() if meaning.life is Life.ENDED)

KEEP_LAST = frozenset({"M"})
"""Moved to another server, which alone knows: what was known before stays."""

_OF_THE_PAST = ("Job Array Began", "Job run at", "Subjob ")
"""How comments begin that do not say why a job waits: of an array whose tasks run, of an earlier run, of
a deleted task (which PBS leaves on the array that had no comment before)."""

_TIME_LIMIT = "the scheduler ended it at its time limit"

EXIT_STATUSES: Mapping[int, tuple[JobState, str]] = {
    -1: (JobState.ERROR, "PBS could not start it, before it had its files"),
    -2: (JobState.ERROR, "PBS could not start it, after it had its files"),
    -3: (JobState.ERROR, "PBS could not start it and gave up"),
    -4: (JobState.ERROR, "ended as its node was started anew"),
    -5: (JobState.ERROR, "ended as its node was started anew: no checkpoint"),
    -6: (JobState.ERROR, "ended as its node was started anew: checkpointed"),
    -7: (JobState.ERROR, "ended as its node was started anew: not from its checkpoint"),
    -10: (JobState.ERROR, "its account is not known on the node"),
    -11: (JobState.ERROR, "PBS could not run it again"),
    -12: (JobState.ERROR, "PBS could not take a checkpoint"),
    -13: (JobState.ERROR, "its password was refused"),
    -14: (JobState.ERROR, "its nodes could not join"),
    -15: (JobState.ERROR, "PBS put it back while it was being deleted"),
    -16: (JobState.ERROR, "PBS could not start it: a hook put it back"),
    -17: (JobState.ERROR, "a hook of the site deleted it"),
    -18: (JobState.ERROR, "a hook of the site put it back"),
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
    -32: (JobState.ERROR, "PBS put it back, for its node had lost it"),
}
"""The exit statuses that PBS gives itself, of jobs that have ended."""

_TERMINATED, _FINISHED, _FAILED = 91, 92, 93
"""Substates of an ended job: deleted or given up, exit status 0, any other."""

_SIGNAL = 256
_TERM = _SIGNAL + 15
_ENDED_BY_SIGNAL = frozenset({128 + 9, 128 + 15})
_KILLED_FOR_TIME = re.compile(r"walltime\b.*\bexceeded|exceeded resource walltime")
_TERMINATED_BY = re.compile(r"\bterminated(?: by \S+)?$")
_DELETED = "deleted"
_DEPENDENCY = "PBS deleted it before it ran: a job that it depends on failed, was deleted or is not known"
_NOTHING_KEPT = "deleted before it ran: PBS keeps nothing of a run"

_SUBJOB_ENDS: Mapping[str, tuple[JobState, str]] = {
    "Subjob failed": (JobState.ERROR, "PBS keeps nothing of it but that it failed"),
    "Subjob terminated": (JobState.DELETED, _DELETED),
}
"""The comments that tell of a task although the rest of its row is the array's, up to version 22."""

HOLDS: Mapping[str, str] = {
    "u": "held by its user",
    "o": "held by an operator",
    "s": "held by the scheduler",
    "p": "held for a bad password",
}
"""What each letter of ``Hold_Types`` says."""


def status_of(row: TaskRow) -> SchedulerStatus | None:
    """As the port says it; None for a state that decides nothing."""
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
        yield f"put back into the queue: {failure}"
    if row.comment and not row.comment.startswith(_OF_THE_PAST):
        yield row.comment


def _end_by_array(row: TaskRow) -> SchedulerStatus:
    """An ended task of which PBS shows the array's values: they tell no exit status.

    Tasks that were deleted before they ran are shown so and, once the whole array is deleted, also
    those that had ended in another way: they have left a record of their start.
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
    """It never ran, or PBS did not keep its status: then all that is told is that it is over."""
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
    """Whether PBS ended a job, or an array as a whole, that nobody deleted and that never ran."""
    return row.substate == _FINISHED and not row.has_run


def was_terminated(row: TaskRow) -> bool:
    """Whether somebody deleted it, or PBS gave it up."""
    return row.substate == _TERMINATED or bool(_TERMINATED_BY.search(row.comment))


def _termination(row: TaskRow, code: int | None) -> tuple[JobState, int | None, str]:
    """Somebody deleted it, or PBS itself did after it could not start it many times."""
    if "too many failed attempts" in row.comment:
        return JobState.ERROR, code, row.comment
    return JobState.DELETED, code, _DELETED


def _is_over_time(row: TaskRow) -> bool:
    """For versions that know no -29: what it used, or what PBS remarks."""
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
    """The jobs that qstat itself says it does not know, by their sequence numbers."""
    return frozenset(int(match["id"] or match["first"]) for match in _NOT_KNOWN.finditer(stderr))


def keeps_no_history(stderr: str) -> bool:
    """Whether PBS forgets jobs as soon as they have ended."""
    return _NO_HISTORY.search(stderr) is not None


def is_beyond_this_qstat(stdout: str, stderr: str) -> bool:
    """Whether this version does not have the options it was called with."""
    return bool(_BEYOND.search(stderr) or _TABLE.search(stdout))


# qsub, qdel --------------------------------------------------------------------------------------

_Problem = type[SchedulerProblem]

QSUB_SAYS: tuple[tuple[re.Pattern[str], _Problem], ...] = tuple(
    (re.compile(words, re.IGNORECASE), problem)
    for words, problem in (
        # The request did not go out: there is no such server at the moment, or never.
        (r"unknown host\b", SubmitDeferred),
        # The request went out, or may have: it may be a job by now.
        (r"cannot connect to server|couldn't connect|connection (?:refused|reset|timed out)|no route to host",
         SubmitUncertain),
        (r"timed? ?out|end of file|batch protocol error|protocol failure|premature|errno=15\d\d\d",
         SubmitUncertain),
        (r"server shutting down|server internal error|system error|no free connections|connection table full",
         SubmitUncertain),
        (r"invalid credential|expired credential|munge|retry to submit a job exhausted", SubmitUncertain),
        # More than any job may ever have: it will not get better.
        (r"violates queue and/or server resource limits|exceeds server or queue size limit", SubmitRefused),
        # Too much at this moment.
        (r"would exceed (?:\S+ )*?(?:limit|per-\w+ limit)|maximum number of jobs", SubmitDeferred),
        (r"temporarily unavailable|resource busy|license|queue is not enabled|try again", SubmitDeferred),
        (r"no space left|disk quota exceeded|cannot allocate memory|out of memory", SubmitDeferred),
    )
)  # fmt: skip
"""The first one that is found in what qsub said decides; anything else is a refusal for good."""

_COMMAND_MISSING = frozenset({"126", "127"})
_ENDED_LATE = frozenset({"124", "137"})
_MAX_WORDS = 2_000


def read_qsub_answer(status: str, stdout: str, stderr: str) -> str | None:
    """The local id that ``qsub`` printed; None while there is no answer.

    Raises `SubmitRefused`, `SubmitDeferred` or `SubmitUncertain` by its own words.
    """
    lines = [line.strip() for line in stdout.splitlines() if line.strip()]
    ids = [line for line in lines if is_local_id(line)]
    if status in {"", "0"} and ids:
        return ids[-1]
    if not status:
        return None
    words = without_usage(stderr)[:_MAX_WORDS] or f"qsub ended with {status} and said nothing"
    if status == "0":
        raise NoJobId(f"qsub printed no job id: {' '.join(lines)[:200]!r}")
    if status in _COMMAND_MISSING:
        raise SubmitDeferred(f"qsub cannot be run: {words}")
    if status in _ENDED_LATE or not status.isdigit():
        raise SubmitUncertain(f"qsub gave no answer in time: {words}")
    raise _problem_in(stderr)(words)


_USAGE = re.compile(r"^\s*usage:", re.IGNORECASE | re.MULTILINE)


def without_usage(stderr: str) -> str:
    """What a command said on one line, without the description of its options that may follow."""
    usage = _USAGE.search(stderr)
    words = " ".join(stderr[: usage.start() if usage else None].split())
    return words or ("it printed its usage: it does not have these options" if usage else "")


def _problem_in(stderr: str) -> _Problem:
    return next((problem for words, problem in QSUB_SAYS if words.search(stderr)), SubmitRefused)


_NOTHING_TO_DELETE = re.compile(
    r"unknown job id|job has finished|invalid for (?:state of job|finished)|delete already in progress",
    re.IGNORECASE,
)


def is_only_about_ended_jobs(stderr: str) -> bool:
    """Whether all that qdel complained about is that jobs have ended, are ending or are unknown."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    return bool(lines) and all(_NOTHING_TO_DELETE.search(line) for line in lines)
