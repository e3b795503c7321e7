"""``cloudqcli stat``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.cloudqcli.options import fresh_option, job_id_option, needs_id
from cloudq.entrypoints.cloudqcli.output import status_record
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.cloudqcli.tables import status_lines
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option
from cloudq.entrypoints.shared.terminal import show_message, show_progress

if TYPE_CHECKING:
    from cloudq.application.client.query_jobs import JobStatus
    from cloudq.client import Client


@click.command
@job_id_option
@fresh_option
@json_option
@common_options
@pass_session
def command(session: Session, job_id: str | None, fresh: bool, as_json: bool) -> None:
    """Show everything about one job."""
    with session.client() as client:
        status = _status(client, needs_id(job_id), fresh=fresh)
    for warning in status.warnings:
        show_message(warning)
    if status.behind_s is not None:
        age = f"{status.behind_s:.0f} s"
        show_message(f"The task states are {age} old; by now: {status.progress}. Use --fresh to update them.")
    if as_json:
        print_json(status_record(status))
        return
    for line in status_lines(status):
        click.echo(line)


def _status(client: Client, job_id: str, *, fresh: bool) -> JobStatus:
    """Return the status; on a terminal, ask the agent if it is known to have newer states of tasks."""
    status = client.status(job_id, fresh=fresh)
    if fresh or status.behind_s is None or not sys.stdout.isatty():
        return status
    show_progress("Asking its agent for the present states of the tasks …")
    return client.status(job_id, fresh=True)
