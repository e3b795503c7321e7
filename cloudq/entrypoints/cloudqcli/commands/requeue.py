"""``cloudqcli requeue``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cloudq.domain.scripts.target import named_systems
from cloudq.entrypoints.cloudqcli.holding import claim_option, decided_claim
from cloudq.entrypoints.cloudqcli.options import job_id_option, needs_id
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.options import common_options, option
from cloudq.entrypoints.shared.terminal import show_message

if TYPE_CHECKING:
    from cloudq.application.client.requeue_job import Requeued
    from cloudq.application.shared.find_holder import Holder
    from cloudq.client import Client


@click.command
@job_id_option
@option("--to", multiple=True, metavar="SYSTEM,…", help="The only systems that may run the job from now on.")
@click.option("--force", is_flag=True, help="Requeue the job even if its agent reported recently.")
@claim_option
@common_options
@pass_session
def command(
    session: Session, job_id: str | None, to: tuple[str, ...], force: bool, claim: int | None
) -> None:
    """Offer a job that makes no progress again.

    A job that a system holds is taken back from it if its agent has been silent for long, or with
    --force. The command shows which system holds the job and asks for confirmation; in a script,
    pass --claim instead. A job that no system has taken is offered to the systems of --to.
    """
    chosen, systems = needs_id(job_id), named_systems(to)
    with session.client() as client:
        if claim is None:
            claim = _decided(client, chosen, systems, force=force)
        done = client.requeue(chosen, systems, claim=claim, force=force)
    for warning in done.warnings:
        show_message(warning)
    click.echo(_result_line(chosen, done))


def _decided(client: Client, job_id: str, to: tuple[str, ...], *, force: bool) -> int | None:
    """Return the claim to replace; None if the job has no holder."""
    holder = client.holder(job_id)
    if holder is None:
        return None
    if not (force or holder.is_presumed_gone):
        return holder.claim.n  # refused, with a message that states how long to wait
    return decided_claim(job_id, holder, _consequences(holder, to))


def _consequences(holder: Holder, to: tuple[str, ...]) -> Iterator[str]:
    where = ", ".join(to) or "the same systems as before"
    yield f"The job is taken back and offered to {where}."
    if holder.is_presumed_gone:
        yield f"If the agent of {holder.system} comes back, it ends the job there if it still runs."
    else:
        yield f"WARNING: the job may run twice, because {holder.system} may be running it now."


def _result_line(job_id: str, done: Requeued) -> str:
    taken = f"taken back from {done.taken_from} and " if done.taken_from else ""
    return f"Job ({job_id}) is {taken}offered to {', '.join(done.systems)}."
