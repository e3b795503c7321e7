"""``cloudqcli log``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from cloudq.domain.errors import NoTaskNamed
from cloudq.entrypoints.cloudqcli.options import one_of
from cloudq.entrypoints.cloudqcli.output import begun
from cloudq.entrypoints.cloudqcli.selection import Among, Jobs, jobs_option
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.options import common_options, option
from cloudq.entrypoints.shared.terminal import LogText, copy_to_stdout, show_message, show_progress

if TYPE_CHECKING:
    from cloudq.application.client.read_log import TaskLine
    from cloudq.client import Client

LINE_BETWEEN = "\n"
"""Separates the logs of several jobs, as tail(1) does it."""
FIRST_PIECES_WITHIN_S = 12.0
"""Enough for an agent that polls every 5 s and uploads the first pieces in its next cycle."""
CONTEXT_LINES = 10
"""The lines with which --follow begins on a terminal, as with tail(1)."""
ALL = "all"


def _line_count(_: click.Context, __: click.Parameter, text: str | None) -> int | str | None:
    """Return the number of lines, or `ALL`; None if the option is not given."""
    if text is None or text == ALL:
        return text
    if not text.isdecimal():
        raise click.BadParameter(f"{text!r} is neither a number of lines nor '{ALL}'")
    return int(text)


@click.command
@jobs_option
@click.option("--tid", type=int, metavar="N", help="Only this task of an array job.")
@click.option("--error", is_flag=True, help="Show stderr instead of stdout.")
@click.option("--tail", callback=_line_count, metavar="N", help="Only the last N lines, or 'all'.")
@click.option("--follow", "-f", is_flag=True, help="Continue to show new output until the job has ended.")
@option("--agent", metavar="SYSTEM", help="Show the log of a system's agent.")
@common_options
@pass_session
def command(
    session: Session,
    jobs: Jobs,
    tid: int | None,
    error: bool,
    tail: int | str | None,
    follow: bool,
    agent: str | None,
) -> None:
    """Show the log of a job or of an agent.

    The bytes of the log go to stdout unchanged. On a terminal, control sequences other than colors
    are escaped, so that a log cannot control the terminal. Of several jobs, each log has a header.

    Without --tid, every line of an array begins with the number of its task. With --follow, a terminal
    shows the last 10 lines first; --tail all shows everything.
    """
    one_of(id=jobs.are_given, agent=agent)
    if tail is None and follow and sys.stdout.isatty():
        tail = CONTEXT_LINES
    lines = tail if isinstance(tail, int) else None
    with session.client() as client:
        if agent is not None:
            _show_agent_log(client, agent, lines)
            return
        job_ids = jobs.ids(client, Among.ALL)
        if follow and len(job_ids) > 1:
            raise click.UsageError("--follow shows one job at a time")
        show = _follow if follow else _show_so_far
        for place, job_id in enumerate(job_ids):
            if len(job_ids) > 1:
                click.echo(f"{LINE_BETWEEN if place else ''}==> {job_id} <==")
            with jobs.problem_kept():
                show(client, job_id, tid, lines, error=error)
    jobs.end()


def _show_agent_log(client: Client, system: str, tail: int | None) -> None:
    from cloudq.domain.jobs.log_tail import last_lines  # noqa: PLC0415 (most logs need no tail)

    pieces = client.agent_log(system)
    copy_to_stdout(pieces if tail is None else iter([last_lines(pieces, tail)]))


def _follow(client: Client, job_id: str, tid: int | None, tail: int | None, *, error: bool) -> None:
    try:
        pieces = begun(client.follow_log(job_id, tid=tid, error=error, tail=tail))
    except NoTaskNamed:
        _copy_lines(client.follow_task_logs(job_id, error=error, tail=tail))
    else:
        copy_to_stdout(pieces)


def _show_so_far(client: Client, job_id: str, tid: int | None, tail: int | None, *, error: bool) -> None:
    """Show the log so far; if a running job has none, its agent may not have uploaded anything yet."""
    if _copy_now(client, job_id, tid, tail, error=error):
        return
    job = client.job(job_id)
    if job.is_final or tail == 0:
        return
    if not job.claim:
        show_message(f"Job ({job_id}) is {job.state.value}: it has not been taken yet and has no log.")
        return
    show_progress("Waiting for its agent to upload the first part …")
    if not _copy_now(client, job_id, tid, tail, error=error, wait=FIRST_PIECES_WITHIN_S):
        show_message(f"Job ({job_id}) is {job.state.value}; no part of this log has been uploaded yet.")


def _copy_now(
    client: Client, job_id: str, tid: int | None, tail: int | None, *, error: bool, wait: float = 0.0
) -> int:
    """Copy what there is to stdout; return the number of bytes of the log."""
    try:
        pieces = client.log(job_id, tid=tid, error=error, wait=wait, tail=tail)
    except NoTaskNamed:
        return _copy_lines(client.task_logs(job_id, error=error, wait=wait, tail=tail))
    return copy_to_stdout(pieces)


def _copy_lines(lines: Iterable[TaskLine]) -> int:
    """Copy the lines of tasks to stdout, each after the number of its task."""
    return copy_to_stdout(_prefixed(lines, is_shown=sys.stdout.isatty()))


def _prefixed(lines: Iterable[TaskLine], *, is_shown: bool) -> Iterator[bytes]:
    """Yield the lines; those that are shown on a terminal end with the usual color."""
    for task_line in lines:
        line = task_line.line
        if is_shown:
            text = LogText()
            line = (text.feed(line[:-1]) + text.finish()).encode() + b"\n"
        yield f"{task_line.task}: ".encode() + line
