"""``cloudqcli stat``."""

from __future__ import annotations

import click

from cloudq.entrypoints.cloudqcli.job_page import JobPage
from cloudq.entrypoints.cloudqcli.output import job_record
from cloudq.entrypoints.cloudqcli.selection import Among, Jobs, named_jobs_option
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.cloudqcli.tables import stat_lines
from cloudq.entrypoints.shared.drawing import terminal
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option
from cloudq.entrypoints.shared.terminal import is_read_by_user


@click.command
@named_jobs_option
@json_option
@common_options
@pass_session
def command(session: Session, jobs: Jobs, as_json: bool) -> None:
    """Show everything about jobs.

    On a terminal, the fields are in groups, and empty ones are left out. JSON of several jobs is a list.
    """
    records = []
    with session.client() as client:
        for job_id in jobs.ids(client, Among.ALL):
            with jobs.problem_kept():
                records.append(client.job(job_id))
        now = client.now()
    if as_json:
        documents = [job_record(job) for job in records]
        print_json(documents if jobs.are_several else documents[0])
    elif is_read_by_user():
        for index, job in enumerate(records):
            if index:
                click.echo()
            terminal().print(JobPage(job, now))
    else:
        click.echo("\n\n".join("\n".join(stat_lines(job)) for job in records), nl=bool(records))
    jobs.end()
