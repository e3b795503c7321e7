"""``cloudqcli cancel``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.cloudqcli.options import common_options, job_id_option, needs_id
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.terminal import tell, tell_progress

if TYPE_CHECKING:
    from cloudq.client import Client

ASK_AGAIN_AFTER_S = 30.0
"""The job may have been taken back, and taken by another system, since it was asked for."""


@click.command
@job_id_option
@click.option("--tid", type=int, metavar="N", help="Cancel only this task of an array job.")
@click.option("--wait", is_flag=True, help="Wait until the job has ended.")
@common_options
@pass_session
def command(session: Session, job_id: str | None, tid: int | None, wait: bool) -> None:
    """Cancel a job, or one task of an array job.

    A job that nobody took ends at once. The agent of a job that was taken is asked to end it;
    --wait waits until it has.
    """
    chosen = needs_id(job_id)
    with session.client() as client:
        if wait:
            _cancel_and_wait(client, chosen, tid)
        elif _is_only_requested(client, chosen, tid):
            tell("Its agent was asked to end it, which takes a moment; --wait waits for that.")
    click.echo(f"{_named(chosen, tid)} is canceled.")


def _named(job_id: str, tid: int | None) -> str:
    return f"Job ({job_id})" if tid is None else f"Task {tid} of job ({job_id})"


def _is_only_requested(client: Client, job_id: str, tid: int | None) -> bool:
    from cloudq.application.cancel_job import CancelResult  # noqa: PLC0415 (--help must not wait for it)

    return client.cancel(job_id, tid=tid) is CancelResult.REQUESTED


def _cancel_and_wait(client: Client, job_id: str, tid: int | None) -> None:
    """Cancel until the job, or its task, has ended. Raises `JobStateConflict` if it ended in another way."""
    from cloudq.domain.errors import WaitTimedOut  # noqa: PLC0415

    while _is_only_requested(client, job_id, tid):
        tell_progress(f"{_named(job_id, tid)} is asked to end …")
        try:
            client.wait(job_id, tid=tid, timeout=ASK_AGAIN_AFTER_S, poll=1.0)
        except WaitTimedOut:
            continue
