"""``cloudqcli list``."""

from __future__ import annotations

import click

from cloudq.entrypoints.cloudqcli.options import fresh_option
from cloudq.entrypoints.cloudqcli.output import active_record
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.cloudqcli.tables import list_header, list_line
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option
from cloudq.entrypoints.shared.terminal import show_message


@click.command
@click.option("--long", "-l", "long", is_flag=True, help="Also show why each job waits.")
@fresh_option
@json_option
@common_options
@pass_session
def command(session: Session, long: bool, fresh: bool, as_json: bool) -> None:
    """List jobs that have not ended."""
    with session.client() as client:
        active = client.jobs(fresh=fresh)
    for warning in active.warnings:
        show_message(warning)
    if as_json:
        print_json({"jobs": [active_record(job) for job in active.jobs], "warnings": active.warnings})
        return
    for line in list_header(long=long):
        click.echo(line)
    for job in active.jobs:
        click.echo(list_line(job, long=long))
