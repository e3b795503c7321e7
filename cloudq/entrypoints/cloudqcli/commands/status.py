"""``cloudqcli stat``."""

from __future__ import annotations

import click

from cloudq.entrypoints.cloudqcli.job_page import JobPage
from cloudq.entrypoints.cloudqcli.options import job_id_option, needs_id
from cloudq.entrypoints.cloudqcli.output import job_record
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.cloudqcli.tables import stat_lines
from cloudq.entrypoints.shared.drawing import terminal
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option
from cloudq.entrypoints.shared.terminal import is_read_by_user


@click.command
@job_id_option
@json_option
@common_options
@pass_session
def command(session: Session, job_id: str | None, as_json: bool) -> None:
    """Show everything about one job.

    On a terminal, the fields are in groups, and empty ones are left out.
    """
    with session.client() as client:
        job, now = client.job(needs_id(job_id)), client.now()
    if as_json:
        print_json(job_record(job))
    elif is_read_by_user():
        terminal().print(JobPage(job, now))
    else:
        for line in stat_lines(job):
            click.echo(line)
