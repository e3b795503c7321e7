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
@click.option("--wait", is_flag=True, help="Wait until the job has ended.")
@common_options
@pass_session
def command(session: Session, job_id: str | None, wait: bool) -> None:
    """Cancel a job.

    A job that nobody took ends at once. The agent of a job that was taken is asked to end it;
    --wait waits until it has.
    """
    chosen = needs_id(job_id)
    with session.client() as client:
        if wait:
            _cancel_and_wait(client, chosen)
        elif _is_only_requested(client, chosen):
            tell("Its agent was asked to end it, which takes a moment; --wait waits for that.")
    click.echo(f"Job ({chosen}) is canceled.")


def _is_only_requested(client: Client, job_id: str) -> bool:
    from cloudq.application.cancel_job import CancelResult  # noqa: PLC0415 (--help must not wait for it)

    return client.cancel(job_id) is CancelResult.REQUESTED


def _cancel_and_wait(client: Client, job_id: str) -> None:
    """Cancel until the job has ended. Raises `JobStateConflict` if it ended in another way."""
    from cloudq.domain.errors import WaitTimedOut  # noqa: PLC0415

    while _is_only_requested(client, job_id):
        tell_progress(f"Job ({job_id}) is asked to end …")
        try:
            client.wait(job_id, timeout=ASK_AGAIN_AFTER_S, poll=1.0)
        except WaitTimedOut:
            continue
