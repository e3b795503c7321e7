"""An explanation as a screen and as JSON: what to type for each step is decided here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cloudq.application.client.explain_job import Advice, Explanation, LogEnd, NextStep
from cloudq.domain.errors import CloudqError
from cloudq.domain.jobs.job_state import JobState
from cloudq.entrypoints.cloudqcli.output import job_record
from cloudq.entrypoints.shared.terminal import local_time, printable, show_message

if TYPE_CHECKING:
    from cloudq.client import Client
    from cloudq.domain.jobs.job import Job

_STEPS: Mapping[NextStep, tuple[str, str]] = {
    NextStep.EXPLAIN: ("cloudqcli explain {subject}", "why that job is in its state"),
    NextStep.START_AGENT: ("cloudqd --daemon --detach", "start the agent, on {subject}"),
    NextStep.CONFIRM_HOME: ("cloudqd --confirm", "confirm its home, on {subject}"),
    NextStep.READ_AGENT_LOG: ("cloudqcli log --agent {subject}", "the log of its agent"),
    NextStep.LIST_AGENTS: ("cloudqcli agents", "the systems and their agents"),
    NextStep.REQUEUE: ("cloudqcli requeue {job}", "offer the job again"),
    NextStep.CANCEL: ("cloudqcli cancel {job}", "end the job"),
    NextStep.CANCEL_BY_FORCE: ("cloudqcli cancel {job} --force", "end the job without its agent"),
    NextStep.READ_STDOUT: ("cloudqcli log {job}", "all of its stdout"),
    NextStep.READ_STDERR: ("cloudqcli log {job} --error", "all of its stderr"),
    NextStep.FOLLOW_LOG: ("cloudqcli log {job} --follow", "its output as it grows"),
    NextStep.STAGE_OUT: ("cloudqcli stageout {job}", "download its files"),
    NextStep.RERUN: ("cloudqcli submit --rerun {job}", "run it once more"),
    NextStep.LONGER_LIMIT: ("cloudqcli submit --script FILE", "with a longer time limit"),
    NextStep.RERUN_FAILED: ("cloudqcli submit --rerun {job} --failed", "run the failed tasks once more"),
}
"""What to type for each step, and what it is for."""

_WITH_SUBJECT: Mapping[NextStep, str] = {
    NextStep.REQUEUE: " --to {subject}",
    NextStep.READ_STDOUT: " --tid {subject}",
    NextStep.READ_STDERR: " --tid {subject}",
}
"""What is added to the command of a step that has a subject: a system, or a task."""


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """Yield the screen: the state, the reasons, the ends of logs, and what to type next."""
    job = explanation.job
    yield printable(f"Job ({job.uuid}) {job.name} is {job.state.value}{_where(job)}")
    if explanation.reasons:
        yield ""
        yield f"{_question(explanation)}:"
        yield from (f"  - {printable(reason.text)}" for reason in explanation.reasons)
    for end in explanation.log_ends:
        yield ""
        yield from log_end_lines(end)
    if explanation.advice:
        yield ""
        yield "What you can do:"
        yield from _advice_lines(explanation)


def log_end_lines(end: LogEnd) -> Iterator[str]:
    """Yield a heading and the last lines of a log."""
    of_task = "" if end.task is None else f" of task {end.task}"
    if end.is_too_long:
        yield f"The {end.stream}{of_task} is too long to be read here."
        return
    yield f"Last lines of {end.stream}{of_task}:"
    yield from (f"  | {printable(line.expandtabs())}".rstrip() for line in end.lines)


def _where(job: Job) -> str:
    system = f" on {job.run_system}" if job.run_system else ""
    since = job.changes[-1].time if job.changes else None
    return f"{system}, since {local_time(since)}" if since else system


def _question(explanation: Explanation) -> str:
    if explanation.job.state in {JobState.INIT, JobState.READY}:
        return "Why it waits"
    if not explanation.job.is_final:
        return "What is known"
    return "Why it ended so" if explanation.has_failed else "How it ended"


def _advice_lines(explanation: Explanation) -> Iterator[str]:
    pairs = [words_of(advice, explanation.job.uuid) for advice in explanation.advice]
    longest = max(len(typed) for typed, _ in pairs)
    yield from (printable(f"  {typed:<{longest}}  {purpose}") for typed, purpose in pairs)


def words_of(advice: Advice, job_id: str) -> tuple[str, str]:
    """Return the command for *advice*, and what it is for."""
    typed, purpose = _STEPS[advice.step]
    if advice.subject:
        typed += _WITH_SUBJECT.get(advice.step, "")
    fields = {"job": job_id, "subject": advice.subject}
    return typed.format(**fields), purpose.format(**fields)


def explanation_record(explanation: Explanation) -> dict[str, Any]:
    """Return the explanation for JSON."""
    job_id = explanation.job.uuid
    return {
        "job": job_record(explanation.job),
        "reasons": [
            {"cause": reason.cause.value, "subject": reason.subject, "text": reason.text}
            for reason in explanation.reasons
        ],
        "log_ends": [
            {"stream": end.stream, "task": end.task, "lines": end.lines, "is_too_long": end.is_too_long}
            for end in explanation.log_ends
        ],
        "next": [
            {"command": typed, "purpose": purpose}
            for typed, purpose in (words_of(advice, job_id) for advice in explanation.advice)
        ],
    }


def show_failure(client: Client, job: Job) -> None:
    """Show the ends of the logs of a failed *job* on stderr, and the commands that show all of them.

    The job has failed in any case, so a store that does not answer now is no further error.
    """
    with suppress(CloudqError):
        explanation = client.explain(job.uuid)
        for end in explanation.log_ends:
            for line in log_end_lines(end):
                show_message(line)
        for advice in explanation.advice:
            if advice.step in {NextStep.READ_STDERR, NextStep.READ_STDOUT}:
                typed, purpose = words_of(advice, job.uuid)
                show_message(f"{purpose[0].upper()}{purpose[1:]}: {typed}")
