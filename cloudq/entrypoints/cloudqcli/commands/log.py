"""``cloudqcli log``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.cloudqcli.options import one_of
from cloudq.entrypoints.cloudqcli.selection import Among, Jobs, jobs_option
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.options import common_options, option
from cloudq.entrypoints.shared.terminal import LogText, show_message, show_progress

if TYPE_CHECKING:
    from cloudq.client import Client

LINE_BETWEEN = "\n"
"""Separates the logs of several jobs, as tail(1) does it."""
FIRST_PIECES_WITHIN_S = 12.0
"""Enough for an agent that polls every 5 s and uploads the first pieces in its next cycle."""


@click.command
@jobs_option
@click.option("--tid", type=int, metavar="N", help="Task of an array job.")
@click.option("--error", is_flag=True, help="Show stderr instead of stdout.")
@click.option("--follow", "-f", is_flag=True, help="Continue to show new output until the job has ended.")
@option("--agent", metavar="SYSTEM", help="Show the log of a system's agent.")
@common_options
@pass_session
def command(
    session: Session, jobs: Jobs, tid: int | None, error: bool, follow: bool, agent: str | None
) -> None:
    """Show the log of a job or of an agent.

    The bytes of the log go to stdout unchanged. On a terminal, control sequences other than colors
    are escaped, so that a log cannot control the terminal. Of several jobs, each log has a header.
    """
    one_of(id=jobs.are_given, agent=agent)
    with session.client() as client:
        if agent is not None:
            _copy(client.agent_log(agent))
            return
        job_ids = jobs.ids(client, Among.ALL)
        if follow and len(job_ids) > 1:
            raise click.UsageError("--follow shows one job at a time")
        for place, job_id in enumerate(job_ids):
            if len(job_ids) > 1:
                click.echo(f"{LINE_BETWEEN if place else ''}==> {job_id} <==")
            with jobs.problem_kept():
                if follow:
                    _copy(client.follow_log(job_id, tid=tid, error=error))
                else:
                    _show_so_far(client, job_id, tid, error=error)
    jobs.end()


def _show_so_far(client: Client, job_id: str, tid: int | None, *, error: bool) -> None:
    """Show the log so far; if a running job has none, its agent may not have uploaded anything yet."""
    if _copy(client.log(job_id, tid=tid, error=error)):
        return
    job = client.job(job_id)
    if job.is_final:
        return
    if not job.claim:
        show_message(f"Job ({job_id}) is {job.state.value}: it has not been taken yet and has no log.")
        return
    show_progress("Waiting for its agent to upload the first part …")
    if not _copy(client.log(job_id, tid=tid, error=error, wait=FIRST_PIECES_WITHIN_S)):
        show_message(f"Job ({job_id}) is {job.state.value}; no part of this log has been uploaded yet.")


def _copy(pieces: Iterator[bytes]) -> int:
    """Copy a log to stdout as it arrives; return its number of bytes."""
    out = sys.stdout.buffer
    text = LogText() if sys.stdout.isatty() else None
    total = 0
    for piece in pieces:
        out.write(piece if text is None else text.feed(piece).encode())
        out.flush()
        total += len(piece)
    if text is not None:
        out.write(text.finish().encode())
    out.flush()
    return total
