"""``cloudqcli stat``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.cloudqcli.job_page import JobPage
from cloudq.entrypoints.cloudqcli.options import fresh_option
from cloudq.entrypoints.cloudqcli.output import status_record
from cloudq.entrypoints.cloudqcli.selection import Among, Jobs, named_jobs_option
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.cloudqcli.tables import status_lines
from cloudq.entrypoints.shared.drawing import terminal
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option
from cloudq.entrypoints.shared.terminal import is_read_by_user, show_message, show_progress

if TYPE_CHECKING:
    from cloudq.application.client.query_jobs import JobStatus
    from cloudq.client import Client


@click.command
@named_jobs_option
@fresh_option
@json_option
@common_options
@pass_session
def command(session: Session, jobs: Jobs, fresh: bool, as_json: bool) -> None:
    """Show everything about jobs.

    On a terminal, the fields are in groups, and empty ones are left out. JSON of several jobs is a list.
    """
    statuses = []
    with session.client() as client:
        for job_id in jobs.ids(client, Among.ALL):
            with jobs.problem_kept():
                statuses.append(_status(client, job_id, fresh=fresh))
        now = client.now()
    for status in statuses:
        _show_notices(status)
    if as_json:
        documents = [status_record(status) for status in statuses]
        print_json(documents if jobs.are_several else documents[0])
    elif is_read_by_user():
        for index, status in enumerate(statuses):
            if index:
                click.echo()
            terminal().print(JobPage(status.job, now, note=status.note, progress=status.progress))
    else:
        pages = ("\n".join(status_lines(status)) for status in statuses)
        click.echo("\n\n".join(pages), nl=bool(statuses))
    jobs.end()


def _status(client: Client, job_id: str, *, fresh: bool) -> JobStatus:
    """Return the status; on a terminal, ask the agent if it is known to have newer states of tasks."""
    status = client.status(job_id, fresh=fresh)
    if fresh or status.behind_s is None or not is_read_by_user():
        return status
    show_progress("Asking its agent for the present states of the tasks …")
    return client.status(job_id, fresh=True)


def _show_notices(status: JobStatus) -> None:
    """Show on stderr what the user should know about the states on the page."""
    for warning in status.warnings:
        show_message(warning)
    if status.behind_s is not None:
        age = f"{status.behind_s:.0f} s"
        show_message(f"The task states are {age} old; by now: {status.progress}. Use --fresh to update them.")
