"""``cloudqcli list``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.cloudqcli.columns import JOB_COLUMNS
from cloudq.entrypoints.cloudqcli.options import fresh_option
from cloudq.entrypoints.cloudqcli.output import active_record
from cloudq.entrypoints.cloudqcli.selection import Among, check_states, selection_options
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.cloudqcli.tables import list_lines
from cloudq.entrypoints.cloudqcli.watching import interval_option, watch_jobs
from cloudq.entrypoints.shared.columns import TableOptions, table_options
from cloudq.entrypoints.shared.drawing import show_table
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option
from cloudq.entrypoints.shared.terminal import is_read_by_user, show_message

if TYPE_CHECKING:
    from cloudq.domain.jobs.selector import Selector
    from cloudq.domain.jobs.summary import ActiveJob


@click.command
@selection_options
@click.option("--long", "-l", "long", is_flag=True, help="Also show progress and in full why each job waits.")
@click.option("--watch", is_flag=True, help="Keep the table up to date until Ctrl-C, as 'watch' does.")
@interval_option
@fresh_option
@table_options(JOB_COLUMNS)
@json_option
@common_options
@pass_session
def command(
    session: Session,
    selector: Selector,
    long: bool,
    watch: bool,
    interval: float,
    fresh: bool,
    table: TableOptions[ActiveJob],
    as_json: bool,
) -> None:
    """List jobs that have not ended, oldest first.

    On a terminal, the table has as many columns as fit, in colours unless NO_COLOR is set. In a pipe,
    --columns prints these columns with tabs between them. --since means the submission of jobs, --system
    the system that runs them or to which they are offered.
    """
    if watch:
        if as_json or fresh:
            raise click.UsageError("--watch draws a table: leave out --json and --fresh, or --watch")
        watch_jobs(session, selector, table, interval)
        return
    check_states(selector, Among.UNFINISHED)
    with session.client() as client:
        active, now = client.jobs(selector, fresh=fresh), client.now()
        client.memory.note_jobs(job.job_id for job in reversed(active.jobs))
        client.memory.note_systems({job.run_system for job in active.jobs if job.run_system})
    for warning in active.warnings:
        show_message(warning)
    jobs = table.sorted(active.jobs)
    if as_json:
        print_json({"jobs": [active_record(job) for job in jobs], "warnings": active.warnings})
    elif is_read_by_user() and not active.jobs:
        jobs_without = "No unfinished jobs" if selector.selects_all else "No unfinished job is selected"
        show_message(f"{jobs_without}. Jobs that have ended: cloudqcli history")
    elif is_read_by_user():
        show_table(table, jobs, now, full_notes=long)
    else:
        lines = table.plain_lines(jobs) if table.chosen else list_lines(jobs, long=long)
        for line in lines:
            click.echo(line)
