"""``cloudqcli stat``."""

from __future__ import annotations

import click

from cloudq.entrypoints.cloudqcli.output import job_record
from cloudq.entrypoints.cloudqcli.selection import Among, Jobs, named_jobs_option
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.cloudqcli.tables import stat_lines
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option


@click.command
@named_jobs_option
@json_option
@common_options
@pass_session
def command(session: Session, jobs: Jobs, as_json: bool) -> None:
    """Show everything about jobs.

    Of several jobs, JSON is a list.
    """
    records = []
    with session.client() as client:
        job_ids = jobs.ids(client, Among.ALL)
        for job_id in job_ids:
            with jobs.problem_kept():
                records.append(client.job(job_id))
    if as_json:
        documents = [job_record(job) for job in records]
        print_json(documents if jobs.are_several else documents[0])
    else:
        click.echo("\n\n".join("\n".join(stat_lines(job)) for job in records), nl=bool(records))
    jobs.end()
