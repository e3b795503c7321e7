"""The error messages of Slurm's commands, and what they mean for a submission or a query.

The texts are Slurm's own (``slurm_strerror``), from 20.11 to 26.11, and those of ``sbatch`` itself. A
text that matches no row is a refusal: the user asked for something that this Slurm does not accept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

from cloudq.adapters.schedulers.commands import MOST_MESSAGE_CHARS, on_one_line, read_answer
from cloudq.domain.errors import SchedulerProblem, SubmitDeferred, SubmitRefused, SubmitUncertain

_Problem = type[SchedulerProblem]

_MAY_HAVE_ARRIVED = (
    # The controller does not answer, or not in time.
    "unable to contact slurm controller", "communication connection failure", "connect failure",
    "connection refused", "connection reset", "connection timed out", "connection forced closed",
    "connection rejected by handler", "communication shutdown failure", "broken pipe",
    "no route to host", "network is unreachable", "host is down",
    "socket timed out", "timed out on send/recv", "kernel reported delayed socket error",
    "unexpected missing socket error", "transport endpoint", "unable to process incoming",
    "unable to process outgoing", "read would block", "write would block",
    "process is shutting down", "controller in standby", "controller is in standby",
    # It answered, but the answer was lost or could not be understood.
    "message send failure", "message receive failure", "unexpected message received",
    "zero bytes were transmitted", "insane message length", "header lengths are longer",
    # Neither side could verify the other.
    "protocol authentication", "munge encode", "munge decode", "credential",
    "i/o stream version number",
)  # fmt: skip
"""The request was sent, or may have been: the job may exist."""

_NEVER = re.compile(
    r"max(?:wall|cpu|node|tres|mem|gres)\w*perjob|min(?:cpu|tres|gres)\w*perjob", re.IGNORECASE
)
"""More than any job may have: trying again does not help."""

_NOT_NOW = (
    # A temporary limit.
    "rate limit exceeded", "maxjobcount limit reached", "job queue full", "sleeping and retrying",
    "job submit limit", "accounting/qos policy", "qos usage threshold",
    "temporarily unable", "temporarily unavailable", "temporarily disabled", "try again",
    "immediate execution impossible", "can not start immediately", "submission scheduling attempts deferred",
    # Nodes, partitions, licenses and reservations that are temporarily unavailable.
    "required node not available", "required partition not available", "partition in down state",
    "partition not available", "partition unavailable", "partition is down", "partition is inactive",
    "required nodes lack available resources", "no available nodes in topology",
    "insufficient resources in topology unit", "max powered up nodes reached",
    "requested nodes are busy", "required ports are in use", "licenses currently unavailable",
    "switch resources currently not available", "reservation not usable now", "in maintenance",
    "maintenance reservation",
    # Problems of the site or of this machine, whatever was submitted.
    "system submissions disabled",
    "incompatible versions of client and server", "plugin initialization failed",
    "failed to initialize plugin stack", "failed to initialize cli_filter",
    "i/o error writing script/environment", "unable to connect to database",
    "rejecting authentication of user nobody", "tls missing but required",
    "can't find an address, check slurm.conf", "could not establish a configuration source",
    "failed to fetch config", "unable to process configuration file",
    "no space left", "disk quota exceeded", "cannot allocate memory", "too many open files",
    "stale file handle", "input/output error",
)  # fmt: skip
"""Nothing was submitted; the same job may be accepted later."""

_LIMITS_OF_THE_MOMENT = re.compile(r"(?:qos|assoc|part)\w*(?:submit|maxjobs|grp)\w*", re.IGNORECASE)
"""Reasons that name a limit on concurrent jobs or resources."""

_ADVICE: Mapping[str, str] = {
    "job dependency problem": "the job in --dependency is unknown to Slurm; "
    "to wait for a job of cloudq, submit with hold_jid",
}
"""Advice for the user where Slurm's message gives none."""

_LOCAL_ID = re.compile(r"([0-9]{1,10})(?:;([^\s;]*))?")


def problem_in(stderr: str) -> _Problem:
    """Return the kind of problem that Slurm's error message means for a submission."""
    message = " ".join(stderr.split()).lower()
    if any(words in message for words in _MAY_HAVE_ARRIVED):
        return SubmitUncertain
    if _NEVER.search(message):
        return SubmitRefused
    if any(words in message for words in _NOT_NOW) or _LIMITS_OF_THE_MOMENT.search(message):
        return SubmitDeferred
    return SubmitRefused


@frozen
class SbatchJob:
    """The job that ``sbatch --parsable`` printed."""

    scheduler_job_id: str
    cluster: str = ""
    """The cluster that received the job, if it was chosen by name."""


def read_sbatch_answer(status: str, stdout: str, stderr: str) -> SbatchJob | None:
    """Return the job that ``sbatch --parsable`` printed; None while there is no answer.

    Raises `SubmitRefused`, `SubmitDeferred` or `SubmitUncertain`, depending on sbatch's message.
    """
    return read_answer(
        "sbatch", (status, stdout, stderr), job_in=_job_in, message_in=_message_in, problem_of=_problem_of
    )


def _job_in(line: str) -> SbatchJob | None:
    match = _LOCAL_ID.fullmatch(line)
    return SbatchJob(match[1], match[2] or "") if match else None


def _message_in(_stdout: str, stderr: str) -> str:
    return on_one_line(stderr)


def _problem_of(message: str) -> SchedulerProblem:
    advice = [words for text, words in _ADVICE.items() if text in message.lower()]
    return problem_in(message)("; ".join([message[:MOST_MESSAGE_CHARS], *advice]))


_UNKNOWN_JOB = "invalid job id specified"
_NOTHING_TO_CANCEL = (
    _UNKNOWN_JOB, "already completing or completed", "job/step already", "job not found",
)  # fmt: skip


def is_about_an_unknown_job(stderr: str) -> bool:
    """Return whether a query about one job failed because Slurm has forgotten the job."""
    return _UNKNOWN_JOB in stderr.lower() and problem_in(stderr) is SubmitRefused


def is_only_about_ended_jobs(stderr: str) -> bool:
    """Return whether scancel complained only about jobs that have ended or are unknown."""
    lines = [line.lower() for line in stderr.splitlines() if line.strip()]
    return bool(lines) and all(any(text in line for text in _NOTHING_TO_CANCEL) for line in lines)
