"""``cloudqcli history``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.cloudqcli.output import begun, history_records
from cloudq.entrypoints.cloudqcli.selection import Among, check_states, selection_options
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.cloudqcli.tables import history_header, history_line
from cloudq.entrypoints.shared.json_output import print_json_list
from cloudq.entrypoints.shared.options import common_options, json_option

if TYPE_CHECKING:
    from cloudq.client import Client
    from cloudq.domain.jobs.history import HistoryEntry
    from cloudq.domain.jobs.selector import Selector

REMEMBERED = 200
"""The number of jobs whose ids can be completed afterwards."""


@click.command
@selection_options
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="List only the N most recent jobs.")
@json_option
@common_options
@pass_session
def command(session: Session, selector: Selector, last: int | None, as_json: bool) -> None:
    """List jobs that have ended, the most recent first.

    --since means their end; older entries are not requested from the store.
    """
    check_states(selector, Among.FINISHED)
    with session.client() as client:
        # Print nothing before the first entry arrives: a header alone would look like an empty history.
        entries = begun(_remembered(client, client.history(last, selector)))
        if as_json:
            print_json_list(history_records(entries))
            return
        for line in history_header():
            click.echo(line)
        for entry in entries:
            click.echo(history_line(entry))


def _remembered(client: Client, entries: Iterator[HistoryEntry]) -> Iterator[HistoryEntry]:
    """Yield the same entries, and remember the first ones for completion."""
    job_ids: list[str] = []
    for entry in entries:
        if len(job_ids) < REMEMBERED:
            job_ids.append(entry.job_id)
        yield entry
    client.memory.note_jobs(job_ids)
