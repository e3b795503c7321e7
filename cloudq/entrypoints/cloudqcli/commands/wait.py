"""``cloudqcli wait``."""

from __future__ import annotations

import click

from cloudq.domain.errors import WaitTimedOut
from cloudq.entrypoints.cloudqcli.output import job_record
from cloudq.entrypoints.cloudqcli.selection import Among, Jobs, jobs_option
from cloudq.entrypoints.cloudqcli.session import PROGRAM, Session, pass_session
from cloudq.entrypoints.cloudqcli.waiting import exit_status_of, wait_for_one, wait_for_several
from cloudq.entrypoints.shared.faults import report
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option

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
            if jobs.are_several:
                ended = wait_for_several(
                    client, job_ids, jobs.note_problem, any_of=any_of, timeout_s=timeout_s
                )
            else:
                ended = (wait_for_one(client, job_ids[0], timeout_s=timeout_s),)
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
