"""``cloudqcli cancel``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cloudq.application.shared.cancel_job import CancelResult
from cloudq.domain.errors import WaitTimedOut
from cloudq.entrypoints.cloudqcli.holding import claim_option, decided_claim
from cloudq.entrypoints.cloudqcli.options import job_id_option, needs_id
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.options import common_options
from cloudq.entrypoints.shared.terminal import show_message, show_progress

if TYPE_CHECKING:
    from cloudq.application.shared.find_holder import Holder
    from cloudq.client import Client

ASK_AGAIN_AFTER_S = 30.0
"""Since the last request, the job may have been taken back, and taken by another system."""


@click.command
@job_id_option
@click.option("--tid", type=int, metavar="N", help="Cancel only this task of an array job.")
@click.option("--wait", is_flag=True, help="Wait until the job has ended.")
@click.option("--force", is_flag=True, help="End the job without the system that holds it.")
@claim_option
@common_options
@pass_session
def command(
    session: Session, job_id: str | None, tid: int | None, wait: bool, force: bool, claim: int | None
) -> None:
    """Cancel a job, or one task of an array job.

    A job that no system has taken ends at once. Otherwise, the agent of the system that took it is
    asked to end it; --wait waits until the job has ended.

    If that agent does not come back, --force ends the job without it. The command shows which
    system holds the job and asks for confirmation; in a script, pass --claim instead.
    """
    chosen = needs_id(job_id)
    _check_force(force=force, tid=tid, claim=claim)
    with session.client() as client:
        if force:
            _cancel_by_force(client, chosen, claim)
        elif wait:
            _cancel_and_wait(client, chosen, tid)
        elif _is_only_requested(client, chosen, tid):
            show_message("Its agent was asked to end it, which takes a moment; --wait waits for the end.")
    click.echo(f"{_named(chosen, tid)} is canceled.")


def _check_force(*, force: bool, tid: int | None, claim: int | None) -> None:
    if force and tid is not None:
        raise click.UsageError("--force ends the whole job and cannot be combined with --tid")
    if claim is not None and not force:
        raise click.UsageError("--claim requires --force")


def _cancel_by_force(client: Client, job_id: str, claim: int | None) -> None:
    holder = client.holder(job_id) if claim is None else None
    if holder is not None:
        claim = decided_claim(job_id, holder, _consequences(holder))
    client.cancel(job_id, force=claim is not None, claim=claim)


def _consequences(holder: Holder) -> Iterator[str]:
    yield "The job ends as DELETED, without logs and outputs that are not in the store yet."
    yield f"If the agent of {holder.system} comes back, it ends the job there if it still runs."
    if not holder.is_presumed_gone:
        yield f"WARNING: {holder.system} is not away. Its agent would end the job properly, without --force."


def _named(job_id: str, tid: int | None) -> str:
    return f"Job ({job_id})" if tid is None else f"Task {tid} of job ({job_id})"


def _is_only_requested(client: Client, job_id: str, tid: int | None) -> bool:
    return client.cancel(job_id, tid=tid) is CancelResult.REQUESTED


def _cancel_and_wait(client: Client, job_id: str, tid: int | None) -> None:
    """Cancel until the job, or its task, is final. Raises `JobStateConflict` if it ended in another way."""
    while _is_only_requested(client, job_id, tid):
        show_progress(f"{_named(job_id, tid)} is being canceled …")
        try:
            client.wait(job_id, tid=tid, timeout=ASK_AGAIN_AFTER_S, poll=1.0)
        except WaitTimedOut:
            continue
