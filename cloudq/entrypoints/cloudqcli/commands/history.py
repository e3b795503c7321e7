"""``cloudqcli history``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

import click

from cloudq.domain.names import duration
from cloudq.entrypoints.cloudqcli.columns import HISTORY_COLUMNS, counted
from cloudq.entrypoints.cloudqcli.output import begun, history_records
from cloudq.entrypoints.cloudqcli.selection import Among, check_states, selection_options
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.cloudqcli.tables import history_lines
from cloudq.entrypoints.shared.columns import TableOptions, table_options
from cloudq.entrypoints.shared.drawing import show_table
from cloudq.entrypoints.shared.json_output import print_json_list
from cloudq.entrypoints.shared.options import common_options, json_option
from cloudq.entrypoints.shared.terminal import is_read_by_user, show_message

if TYPE_CHECKING:
    from cloudq.client import Client
    from cloudq.domain.jobs.history import HistoryEntry, HistoryTotals
    from cloudq.domain.jobs.selector import Selector

JOBS_PER_TABLE = 1000
"""The number of jobs that are drawn at once: a user must not wait for the whole of a long history."""
REMEMBERED = 200
"""The number of jobs whose ids can be completed afterwards."""


@click.command
@selection_options
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="List only the N most recent jobs.")
@table_options(HISTORY_COLUMNS)
@json_option
@common_options
@pass_session
def command(
    session: Session,
    selector: Selector,
    last: int | None,
    table: TableOptions[HistoryEntry],
    as_json: bool,
) -> None:
    """List jobs that have ended, the most recent first.

    On a terminal, the table has as many columns as fit, in colours unless NO_COLOR is set, and a line
    with totals below it. In a pipe, --columns prints these columns with tabs between them. --since means
    the end of jobs; older entries are not requested from the store.
    """
    check_states(selector, Among.FINISHED)
    with session.client() as client:
        # Print nothing before the first entry arrives: a header alone would look like an empty history.
        entries = begun(table.sorted(_remembered(client, client.history(last, selector))))
        if as_json:
            print_json_list(history_records(entries))
        elif is_read_by_user():
            none = "No job has ended yet" if selector.selects_all else "No job that has ended is selected"
            _draw(entries, table, client.now(), none)
        else:
            lines = table.plain_lines(entries) if table.chosen else history_lines(entries)
            for line in lines:
                click.echo(line)


def _draw(
    entries: Iterable[HistoryEntry], table: TableOptions[HistoryEntry], now: datetime, none: str
) -> None:
    """Draw one table per thousand jobs, as they arrive, and the totals; the message *none* for no jobs."""
    from cloudq.domain.jobs.history import HistoryTotals  # noqa: PLC0415 (--help must not wait for it)

    totals = HistoryTotals()
    iterator = iter(entries)
    while batch := tuple(islice(iterator, JOBS_PER_TABLE)):
        show_table(table, batch, now)
        totals = totals.plus(batch)
    if totals.jobs:
        click.echo(_in_words(totals))
    else:
        show_message(f"{none}. Unfinished jobs: cloudqcli list")


def _in_words(totals: HistoryTotals) -> str:
    """Return the totals on one line: ``42 jobs: 39 DONE, 3 ERROR; 5 h 12 min running``."""
    jobs = "1 job" if totals.jobs == 1 else f"{totals.jobs} jobs"
    return f"{jobs}: {counted(totals.by_state)}; {duration(totals.ran.total_seconds())} running"


def _remembered(client: Client, entries: Iterator[HistoryEntry]) -> Iterator[HistoryEntry]:
    """Yield the same entries, and remember the first ones for completion."""
    job_ids: list[str] = []
    for entry in entries:
        if len(job_ids) < REMEMBERED:
            job_ids.append(entry.job_id)
        yield entry
    client.memory.note_jobs(job_ids)
