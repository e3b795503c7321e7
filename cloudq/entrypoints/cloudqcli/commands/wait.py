"""``cloudqcli wait``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudq.domain.errors import WaitTimedOut
from cloudq.entrypoints.cloudqcli.commands.submit import exit_status_of
from cloudq.entrypoints.cloudqcli.explanation import show_failure
from cloudq.entrypoints.cloudqcli.output import job_record
from cloudq.entrypoints.cloudqcli.selection import Among, Jobs, jobs_option
from cloudq.entrypoints.cloudqcli.session import PROGRAM, Session, pass_session
from cloudq.entrypoints.shared.faults import report
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option
from cloudq.entrypoints.shared.terminal import PassingLine, show_message, show_progress

if TYPE_CHECKING:
    from cloudq.client import Client
    from cloudq.domain.errors import CloudqError
    from cloudq.domain.jobs.job import Job

TIMED_OUT = 124
"""As timeout(1) has it."""


@click.command
@jobs_option
@click.option("--any", "any_of", is_flag=True, help="Wait until one of the jobs has ended; print its id.")
@click.option("--timeout", metavar="DURATION", help="Stop waiting after this time: 90, 30m, 2h. Status 124.")
@json_option
@common_options
@pass_session
def command(session: Session, jobs: Jobs, any_of: bool, timeout: str | None, as_json: bool) -> None:
    """Wait until jobs have ended, and exit with their status.

    The status of one job is 0 if it is DONE, its exit code if it ended with one, 124 after a time
    limit, 143 if it was canceled. Of several jobs, it is the first status other than 0, in the order in
    which they are given. Selected jobs are those that have not ended, and those that have.
    """
    timeout_s = _seconds(timeout)
    with session.client() as client:
        job_ids = jobs.ids(client, Among.ALL)
        try:
            ended = _wait(client, jobs, job_ids, any_of=any_of, timeout_s=timeout_s)
        except WaitTimedOut as error:
            context = click.get_current_context()
            report(PROGRAM, error, context)
            context.exit(TIMED_OUT)
    if as_json:
        records = [job_record(job) for job in ended]
        print_json(records if jobs.are_several else records[0])
    elif any_of:
        for job in ended:
            click.echo(job.uuid)
    jobs.end(next(filter(None, map(exit_status_of, ended)), 0))


def _seconds(timeout: str | None) -> float | None:
    from cloudq.domain.jobs.selector import read_span  # noqa: PLC0415 (--help must not wait for it)

    return None if timeout is None else read_span(timeout).total_seconds()


def _wait(
    client: Client, jobs: Jobs, job_ids: tuple[str, ...], *, any_of: bool, timeout_s: float | None
) -> tuple[Job, ...]:
    if not jobs.are_several:
        job = client.wait(job_ids[0], timeout=timeout_s, changed=_show_state)
        _show_end(job)
        if exit_status_of(job):
            show_failure(client, job)
        return (job,)
    return _wait_for_several(client, jobs, job_ids, any_of=any_of, timeout_s=timeout_s)


def _wait_for_several(
    client: Client, jobs: Jobs, job_ids: tuple[str, ...], *, any_of: bool, timeout_s: float | None
) -> tuple[Job, ...]:
    statuses: list[int] = []
    line = PassingLine()

    def show_line() -> None:
        failed = len(list(filter(None, statuses)))
        line.show(f"{len(statuses)} of {len(job_ids)} jobs have ended, {failed} failed")

    def note_end(job: Job) -> None:
        statuses.append(exit_status_of(job))
        line.erase()
        _show_end(job)
        show_line()

    def note_problem(error: CloudqError) -> None:
        line.erase()
        jobs.note_problem(error)
        show_line()

    show_line()
    try:
        return client.wait_all(job_ids, any_of=any_of, timeout=timeout_s, ended=note_end, failed=note_problem)
    finally:
        line.erase()


def _show_state(job: Job) -> None:
    show_progress(f"Job ({job.uuid}) {job.state.value}")


def _show_end(job: Job) -> None:
    """Show how the job ended, unless it is DONE."""
    if exit_status_of(job):
        reason = f": {job.error_msg}" if job.error_msg else ""
        show_message(f"Job ({job.uuid}) ended: {job.state.value}{reason}")
