"""``cloudqcli watch``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.cloudqcli.columns import JOB_COLUMNS
from cloudq.entrypoints.cloudqcli.selection import selection_options
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.cloudqcli.watching import interval_option, watch_jobs
from cloudq.entrypoints.shared.columns import TableOptions, table_options
from cloudq.entrypoints.shared.options import common_options

if TYPE_CHECKING:
    from cloudq.domain.jobs.selector import Selector
    from cloudq.domain.jobs.summary import ActiveJob


@click.command
@selection_options
@interval_option
@table_options(JOB_COLUMNS)
@common_options
@pass_session
def command(session: Session, selector: Selector, interval: float, table: TableOptions[ActiveJob]) -> None:
    """Show a table of unfinished jobs, and of those that ended lately, and keep it up to date.

    Ctrl-C ends it and leaves the table on the screen. While the store is out of reach, the table shows
    the last known states, and for how long there has been no answer. --since means the submission of
    unfinished jobs, and the end of the others.
    """
    watch_jobs(session, selector, table, interval)
