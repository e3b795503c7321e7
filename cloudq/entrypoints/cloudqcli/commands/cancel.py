"""``cloudqcli cancel``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from cloudq.application.shared.cancel_job import CancelResult
from cloudq.domain.errors import WaitTimedOut
from cloudq.entrypoints.cloudqcli.holding import claim_option, decided_claim, require_consent, yes_option
from cloudq.entrypoints.cloudqcli.selection import Among, Jobs, jobs_option
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.options import common_options
from cloudq.entrypoints.shared.terminal import is_read_by_user, show_message, show_progress

if TYPE_CHECKING:
    from cloudq.application.shared.find_holder import Holder
    from cloudq.client import Client

ASK_AGAIN_AFTER_S = 30.0
"""Since the last request, the job may have been taken back, and taken by another system."""


@click.command
@jobs_option
@click.option("--tid", type=int, metavar="N", help="Cancel only this task of an array job.")
@click.option("--wait", is_flag=True, help="Wait until the job has ended.")
@click.option("--force", is_flag=True, help="End the job without the system that holds it.")
@claim_option
@yes_option
@common_options
@pass_session
def command(
    session: Session, jobs: Jobs, tid: int | None, wait: bool, force: bool, claim: int | None, yes: bool
) -> None:
    """Cancel jobs, or one task of an array job.

    A job that no system has taken ends at once. Otherwise, the agent of the system that took it is
    asked to end it; --wait waits until the job has ended. On a terminal, the command asks for
    confirmation before it cancels several jobs.

    If that agent does not come back, --force ends the job without it. The command shows which
    system holds the job and asks for confirmation; in a script, pass --claim or --yes instead.
    """
    _check_force(force=force, tid=tid, claim=claim)
    with session.client() as client:
        job_ids = jobs.ids(client, Among.UNFINISHED)
        if claim is not None and len(job_ids) > 1:
            raise click.UsageError("--claim is about one job")
        if len(job_ids) > 1:
            require_consent(f"Cancel {len(job_ids)} jobs?", yes=yes)
        requested = []
        for job_id in job_ids:
            with jobs.problem_kept():
                if force:
                    _cancel_by_force(client, job_id, claim, yes=yes)
                elif _is_only_requested(client, job_id, tid):
                    requested.append(job_id)
                    continue
                click.echo(f"{_named(job_id, tid)} is canceled.")
        if wait:
            for job_id in requested:
                with jobs.problem_kept():
                    _await_end(client, job_id, tid)
        else:
            _show_requested([_named(job_id, tid) for job_id in requested])
    jobs.end()


def _check_force(*, force: bool, tid: int | None, claim: int | None) -> None:
    if force and tid is not None:
        raise click.UsageError("--force ends the whole job and cannot be combined with --tid")
    if claim is not None and not force:
        raise click.UsageError("--claim requires --force")


def _cancel_by_force(client: Client, job_id: str, claim: int | None, *, yes: bool) -> None:
    holder = client.holder(job_id) if claim is None else None
    if holder is not None:
        claim = decided_claim(job_id, holder, _consequences(holder), yes=yes)
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


def _show_requested(names: list[str]) -> None:
    """Say what will be canceled; in a pipe, with the words of the original CloudQ."""
    if not names:
        return
    if is_read_by_user():
        for name in names:
            click.echo(f"{name}: cancellation requested; --wait waits until it has happened.")
        return
    asked = "Its agent was asked to end it" if len(names) == 1 else "Their agents were asked to end them"
    show_message(f"{asked}, which takes a moment; --wait waits for the end.")
    for name in names:
        click.echo(f"{name} is canceled.")


def _await_end(client: Client, job_id: str, tid: int | None) -> None:
    """Wait until the job, or its task, is final. Raises `JobStateConflict` if it ended in another way."""
    while True:
        show_progress(f"{_named(job_id, tid)}: cancellation requested …")
        with suppress(WaitTimedOut):
            client.wait(job_id, tid=tid, timeout=ASK_AGAIN_AFTER_S, poll=1.0)
        if not _is_only_requested(client, job_id, tid):
            click.echo(f"{_named(job_id, tid)} is canceled.")
            return
