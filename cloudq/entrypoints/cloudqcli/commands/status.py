"""``cloudqcli stat``."""

from __future__ import annotations

import click

from cloudq.entrypoints.cloudqcli.options import job_id_option, needs_id
from cloudq.entrypoints.cloudqcli.output import job_record
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.cloudqcli.tables import stat_lines
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option


@click.command
@job_id_option
@json_option
@common_options
@pass_session
def command(session: Session, job_id: str | None, as_json: bool) -> None:
    """Show everything about one job."""
    with session.client() as client:
        job = client.job(needs_id(job_id))
    if as_json:
        print_json(job_record(job))
        return
    for line in stat_lines(job):
        click.echo(line)
