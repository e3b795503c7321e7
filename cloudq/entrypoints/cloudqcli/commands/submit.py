"""``cloudqcli submit``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.cloudqcli.explanation import show_failure
from cloudq.entrypoints.cloudqcli.options import job_ids_option, one_of
from cloudq.entrypoints.cloudqcli.output import job_record
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option, option
from cloudq.entrypoints.shared.terminal import printable, show_message, show_progress

if TYPE_CHECKING:
    from cloudq.application.client.submit_job import Submitted
    from cloudq.client import Client
    from cloudq.domain.jobs.job import Job

FAILED = 1
WAIT_STATUS = {"DONE": 0, "TIMEOUT": 124, "DELETED": 143}
"""The exit statuses of ``--wait``, as timeout(1) and, for a job killed by SIGTERM, as a shell has them."""


@click.command
@option("--script", metavar="FILE", help="The jobscript.")
@option("--rerun", metavar="ID", help="Run an ended job once more, instead of a script.")
@click.option("--failed", is_flag=True, help="Rerun only the tasks that failed.")
@option("--submit_to", default="", metavar="SYSTEM", help="The system that will run the job.")
@option("--submit_opt", default="", metavar="OPTIONS", help="Options for that system's submit command.")
@job_ids_option("--hold_jid", help="Jobs that must have ended before it starts.")
@job_ids_option("--hold_ok_jid", help="Jobs that must be DONE before it starts.")
@option("--array_tid", metavar="RANGE", help="Task ids of an array job, such as 1-4 or 1-10:2.")
@option(
    "--input", "inputs", multiple=True, metavar="PATH…", help="Files and directories for the work directory."
)
@click.argument("more", nargs=-1, metavar="")
@option("--only", multiple=True, metavar="SYSTEM,…", help="Let a meta jobscript run only on these systems.")
@option("--not", "without", multiple=True, metavar="SYSTEM,…", help="Do not let it run on these systems.")
@click.option("--force", is_flag=True, help="Submit even to a system whose agent never reported.")
@click.option("--wait", is_flag=True, help="Wait until the job ends, and exit with its status.")
@json_option
@common_options
@pass_session
def command(
    session: Session,
    script: str | None,
    rerun: str | None,
    failed: bool,
    submit_to: str,
    submit_opt: str,
    hold_jid: tuple[str, ...],
    hold_ok_jid: tuple[str, ...],
    array_tid: str | None,
    inputs: tuple[str, ...],
    more: tuple[str, ...],
    only: tuple[str, ...],
    without: tuple[str, ...],
    force: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Submit a jobscript.

    A meta jobscript, which begins with directives such as '#$ project: …', needs no --submit_to: it
    is offered to every system that can run it, and the first system that can start it runs it.

    With --wait, the exit status is that of the job: 0 if it is DONE, its exit code if it ended with
    one, 124 after a time limit, 143 if it was canceled.
    """
    if more and not inputs:
        raise click.UsageError(f"unexpected argument {more[0]!r}: pass the script with --script")
    _check_source(script, rerun, failed=failed, own={
        "--submit_opt": submit_opt, "--array_tid": array_tid, "--input": inputs,
    })  # fmt: skip
    with session.client() as client:
        if inputs:
            show_progress("Packing and uploading the inputs …")
        if rerun:
            submit = partial(client.rerun, rerun, failed=failed)
        else:
            submit = partial(
                client.submit,
                script or "",
                submit_opt=submit_opt,
                array_tid=array_tid,
                inputs=[*inputs, *more],
            )
        submitted = submit(
            submit_to=submit_to,
            hold_jid=hold_jid,
            hold_ok_jid=hold_ok_jid,
            only=only,
            without=without,
            force=force,
        )
        for warning in submitted.warnings:
            show_message(warning)
        _report_submission(client, submitted, wait=wait, as_json=as_json)


def _report_submission(client: Client, submitted: Submitted, *, wait: bool, as_json: bool) -> None:
    """Report that the job is submitted; with *wait*, wait for it and exit with its status."""
    job = submitted.job
    with _interruption_explained(job):
        if not as_json:
            click.echo(f"Job ({job.uuid}) {printable(job.name)} has been submitted.")
        elif not wait:
            print_json({**job_record(job), "warnings": submitted.warnings})
        if wait:
            sys.stdout.flush()
            job = client.wait(job.uuid, changed=_show_state)
    if wait:
        _end_as(client, job, as_json=as_json)


def _check_source(script: str | None, rerun: str | None, *, failed: bool, own: dict[str, object]) -> None:
    """Raise a usage error unless there is either a script or a job to rerun, with options that fit."""
    one_of(script=script, rerun=rerun)
    if failed and not rerun:
        raise click.UsageError("--failed requires --rerun")
    given = [option for option, value in own.items() if value]
    if rerun and given:
        raise click.UsageError(f"{', '.join(given)}: not with --rerun, which keeps the values of the job")


@contextmanager
def _interruption_explained(job: Job) -> Iterator[None]:
    """On Ctrl-C, explain that only the waiting ends; the job is in the store and continues."""
    try:
        yield
    except KeyboardInterrupt:
        show_message(f"Job ({job.uuid}) continues; to end it: cloudqcli cancel {job.uuid}")
        raise


def _show_state(job: Job) -> None:
    show_progress(f"Job ({job.uuid}) {job.state.value}")


def _end_as(client: Client, job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(job_record(job))
    status = exit_status_of(job)
    if status:
        show_message(
            f"Job ({job.uuid}) ended: {job.state.value}{': ' if job.error_msg else ''}{job.error_msg}"
        )
        show_failure(client, job)
    click.get_current_context().exit(status)


def exit_status_of(job: Job) -> int:
    """Return the exit status of a command that waited for *job*."""
    if job.state.value in WAIT_STATUS:
        return WAIT_STATUS[job.state.value]
    code = job.exit_code or 0
    return code if 0 < code < 256 else FAILED
