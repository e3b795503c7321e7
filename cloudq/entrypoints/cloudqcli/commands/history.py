"""``cloudqcli history``."""

from __future__ import annotations

import click

from cloudq.entrypoints.cloudqcli.output import begun, history_records
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.cloudqcli.tables import history_header, history_line
from cloudq.entrypoints.shared.json_output import print_json_list
from cloudq.entrypoints.shared.options import common_options, json_option


@click.command
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="List only the N most recent jobs.")
@json_option
@common_options
@pass_session
def command(session: Session, last: int | None, as_json: bool) -> None:
    """List jobs that have ended, the most recent first."""
    with session.client() as client:
        # Print nothing before the first entry arrives: a header alone would look like an empty history.
        entries = begun(client.history(last))
        if as_json:
            print_json_list(history_records(entries))
            return
        for line in history_header():
            click.echo(line)
        for entry in entries:
            click.echo(history_line(entry))
