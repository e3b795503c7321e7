"""The meaning of Grid Engine's state letters, accounting records and command output."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from attrs import evolve, frozen

from cloudq.adapters.schedulers.commands import (
    MOST_MESSAGE_CHARS,
    every_line_matches,
    on_one_line,
    read_answer,
)
from cloudq.adapters.schedulers.grid_engine.parse import Account, amount
from cloudq.domain.errors import SchedulerProblem, SubmitDeferred, SubmitRefused, SubmitUncertain
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus

# qstat -------------------------------------------------------------------------------------------


@frozen
class Meaning:
    """The meaning of a combination of state letters; the first one that matches counts."""

    all_of: str
    any_of: str
    status: SchedulerStatus

    def fits(self, letters: str) -> bool:
        """Return whether *letters* contain all of `all_of` and, unless it is empty, one of `any_of`."""
        return set(self.all_of) <= set(letters) and (not self.any_of or bool(set(self.any_of) & set(letters)))


_QUEUED, _RUNNING = Life.QUEUED, Life.RUNNING
IN_ERROR = SchedulerStatus(Life.ENDED, JobState.ERROR, reason="in an error state")

MEANINGS = (
    Meaning("E", "", IN_ERROR),
    Meaning("d", "rtsST", SchedulerStatus(Life.COMPLETING, reason="being deleted")),
    Meaning("d", "", SchedulerStatus(_QUEUED, reason="being deleted")),
    Meaning("", "sSTNP", SchedulerStatus(_RUNNING, reason="suspended")),
    Meaning("", "rt", SchedulerStatus(_RUNNING)),
    Meaning("h", "", SchedulerStatus(_QUEUED, reason="held")),
    Meaning("R", "", SchedulerStatus(_QUEUED, reason="waiting to run again")),
    Meaning("", "qw", SchedulerStatus(_QUEUED)),
)
KNOWN_LETTERS = frozenset("EdrtsSTNPhRqw")


def status_of(letters: str) -> SchedulerStatus | None:
    """Return the status that *letters* stand for; None if one of them is unknown.

    The reason why a job waits contains the letters, as users know them from qstat: ``held (hqw)``.
    """
    if not set(letters) <= KNOWN_LETTERS:
        return None
    status = next((meaning.status for meaning in MEANINGS if meaning.fits(letters)), None)
    if status is None or status.life is not _QUEUED or not status.reason:
        return status
    return evolve(status, reason=f"{status.reason} ({letters})")


# qacct -------------------------------------------------------------------------------------------

_SETUP = "Grid Engine could not start it"
_NODE = "its node or Grid Engine's own processes failed"
_BY_EXIT_STATUS, _BY_SIGNAL, _LIMIT, _TIME, _DELETED, _PASSING = (
    "exit status", "signal", "limit", "time", "deleted", "passing",
)  # fmt: skip

FAILED: Mapping[int, str] = {
    0: _BY_EXIT_STATUS,
    **dict.fromkeys((1, 3, 4, 6, 7, 8, 9, 10, 11), _SETUP),
    **dict.fromkeys((12, 13, 14, 15, 16), _BY_EXIT_STATUS),
    17: _BY_SIGNAL,
    **dict.fromkeys((18, 19, 20, 21), _NODE),
    **dict.fromkeys((24, 25), _PASSING),
    **dict.fromkeys((26, 27, 28, 29), _SETUP),
    30: _BY_EXIT_STATUS,
    **dict.fromkeys((31, 32, 33, 34, 35, 36, 38), _SETUP),
    37: _LIMIT,
    44: _TIME,
    48: _DELETED,
    100: _BY_SIGNAL,
}
"""The meaning of each number in ``failed``; a number that is missing here decides nothing."""

_KILL, _XCPU = 9, 24
_DELETION_SIGNALS = frozenset({1, 2, _KILL, 12, 15})
"""HUP, INT, KILL, USR2 (which ``-notify`` sends first) and TERM: the signals used to delete a job."""


def status_from(account: Account) -> SchedulerStatus | None:
    """Return the final state that *account* proves; None if it proves none: the job was to run again."""
    kind = FAILED.get(account.failed, "")
    if kind == _PASSING:
        return None
    if account.deleted_by:
        return _ended(JobState.DELETED, account, f"deleted by {account.deleted_by}")
    judged = _JUDGES.get(kind)
    if judged is not None:
        return judged(account)
    if not kind:
        return SchedulerStatus(Life.ENDED, None, account.exit_status, _failure(account))
    return SchedulerStatus(Life.ENDED, JobState.ERROR, None, f"{kind}: {_failure(account)}")


def _by_exit_status(account: Account) -> SchedulerStatus:
    code = account.exit_status
    if code == 0:
        return SchedulerStatus(Life.ENDED, JobState.DONE, 0)
    return SchedulerStatus(Life.ENDED, JobState.ERROR, code, _failure(account) if account.failed else "")


def _by_signal(account: Account) -> SchedulerStatus:
    """Return the final state of a job killed by a signal, at a limit that it reached or otherwise."""
    limit = _reached(account)
    if limit is not None:
        return limit
    number = account.exit_status - 128
    if number in _DELETION_SIGNALS:
        return _ended(JobState.DELETED, account, f"deleted, or killed otherwise: {_failure(account)}")
    if number == _XCPU:
        return _ended(JobState.TIMEOUT, account, "the scheduler ended it at its CPU time limit")
    return _ended(JobState.ERROR, account, _failure(account))


def _by_limit(account: Account) -> SchedulerStatus:
    reached = _reached(account)
    if reached is not None:
        return reached
    if {"h_vmem", "s_vmem"} & account.requested.keys() and not {"h_rt", "h_cpu"} & account.requested.keys():
        return _ended(JobState.ERROR, account, "it reached its memory limit")
    return _ended_in_time(account)


def _ended_in_time(account: Account) -> SchedulerStatus:
    return _ended(JobState.TIMEOUT, account, "the scheduler ended it at its time limit")


def _reached(account: Account) -> SchedulerStatus | None:
    """Return the final state for a limit that the job requested and reached; None if it reached none."""
    for name, used, verdict, reason in (
        ("h_rt", account.wallclock_s + 1.0, JobState.TIMEOUT, "the scheduler ended it at its time limit"),
        ("s_rt", account.wallclock_s + 1.0, JobState.TIMEOUT, "the scheduler ended it at its time limit"),
        ("h_cpu", account.cpu_s + 1.0, JobState.TIMEOUT, "the scheduler ended it at its CPU time limit"),
        ("h_vmem", account.max_memory, JobState.ERROR, "it reached its memory limit"),
    ):
        limit = amount(account.requested.get(name, ""))
        if limit and used >= limit:
            return _ended(verdict, account, reason)
    return None


def _ended(verdict: JobState, account: Account, reason: str) -> SchedulerStatus:
    return SchedulerStatus(Life.ENDED, verdict, account.exit_status or None, reason)


def _failure(account: Account) -> str:
    return f"failed {account.failed}{f': {account.words}' if account.words else ''}"


_JUDGES: Mapping[str, Callable[[Account], SchedulerStatus]] = {
    _BY_EXIT_STATUS: _by_exit_status,
    _BY_SIGNAL: _by_signal,
    _LIMIT: _by_limit,
    _TIME: _ended_in_time,
    _DELETED: lambda account: _ended(JobState.DELETED, account, "deleted"),
}

# qsub, qdel --------------------------------------------------------------------------------------

_Problem = type[SchedulerProblem]

QSUB_PROBLEMS: tuple[tuple[re.Pattern[str], _Problem], ...] = tuple(
    (re.compile(words, re.IGNORECASE), problem)
    for words, problem in (
        # The request was sent, or may have been: the job may exist.
        (r"commlib error|unable to send message to qmaster|unable to contact qmaster", SubmitUncertain),
        (r"failed receiving gdi request|got (?:send|read|receive|syncron message receive) (?:error|timeout)",
         SubmitUncertain),
        # More than any job may have: trying again does not help.
        (r"more than [0-9]+ tasks|tasks are allowed per job", SubmitRefused),
        # Too much at the moment.
        (r"only [0-9]+ jobs? (?:is|are) allowed|job limit exceeded|max(?:imum)?_?u?_?jobs", SubmitDeferred),
        (r"try again later|temporarily unavailable", SubmitDeferred),
        (r"no space left|disk quota exceeded|cannot allocate memory", SubmitDeferred),
    )
)  # fmt: skip
"""The first pattern found in qsub's message decides; any other message is a permanent refusal."""

_TERSE = re.compile(r"([0-9]{1,10})(?:\.([0-9]+-[0-9]+:[0-9]+))?")


@frozen
class QsubJob:
    """The job that ``qsub -terse`` printed."""

    scheduler_job_id: str
    tasks: str = ""
    """The task ids, such as ``1-9:2``; empty for a plain job."""


def read_qsub_answer(status: str, stdout: str, stderr: str) -> QsubJob | None:
    """Return the job that ``qsub -terse`` printed; None while there is no answer.

    Raises `SubmitRefused`, `SubmitDeferred` or `SubmitUncertain`, depending on qsub's message.
    """
    return read_answer(
        "qsub", (status, stdout, stderr), job_in=_job_in, message_in=_message_in, problem_of=_problem_of
    )


def _job_in(line: str) -> QsubJob | None:
    match = _TERSE.fullmatch(line)
    return QsubJob(match[1], match[2] or "") if match else None


def _message_in(stdout: str, stderr: str) -> str:
    return on_one_line(f"{stderr}\n{stdout}")  # qsub reports some problems on stdout


def _problem_of(message: str) -> SchedulerProblem:
    kinds = (problem for pattern, problem in QSUB_PROBLEMS if pattern.search(message))
    return next(kinds, SubmitRefused)(message[:MOST_MESSAGE_CHARS])


_DELETED_OR_GONE = re.compile(
    r"has deleted job|has registered the job|does not exist|already in deletion", re.IGNORECASE
)


def is_only_about_deleted_jobs(message: str) -> bool:
    """Return whether qdel reported only jobs that are deleted, will be deleted or are unknown."""
    return every_line_matches(_DELETED_OR_GONE, message)
