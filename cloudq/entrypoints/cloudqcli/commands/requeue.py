"""``cloudqcli requeue``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.cloudqcli.holding import claim_option, decided_claim
from cloudq.entrypoints.cloudqcli.options import job_id_option, needs_id
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.options import common_options, option
from cloudq.entrypoints.shared.terminal import tell

if TYPE_CHECKING:
    from cloudq.application.client.requeue_job import Requeued
    from cloudq.application.shared.find_holder import Holder
    from cloudq.client import Client


@click.command
@job_id_option
@option("--to", multiple=True, metavar="SYSTEM,…", help="The systems that may run it now, and no others.")
@click.option("--force", is_flag=True, help="Even if the agent that holds it reported lately.")
@claim_option
@common_options
@pass_session
def command(
    session: Session, job_id: str | None, to: tuple[str, ...], force: bool, claim: int | None
) -> None:
    """Offer a job again that does not get on.

    A job that a system holds is taken back from it: once its agent has been silent for long, or
    with --force. You are shown who holds it and asked; a script names the claim with --claim. A
    job that nobody took is offered to the systems of --to instead.
    """
    from cloudq.domain.scripts.place import named_systems  # noqa: PLC0415 (--help must not wait for it)

    chosen, systems = needs_id(job_id), named_systems(to)
    with session.client() as client:
        if claim is None:
            claim = _decided(client, chosen, systems, force=force)
        done = client.requeue(chosen, systems, claim=claim, force=force)
    for warning in done.warnings:
        tell(warning)
    click.echo(_told(chosen, done))


def _decided(client: Client, job_id: str, to: tuple[str, ...], *, force: bool) -> int | None:
    """Return the claim to replace; None if the job has no holder."""
    holder = client.holder(job_id)
    if holder is None:
        return None
    if not (force or holder.is_presumed_gone):
        return holder.claim.n  # refused, with a message that states how long to wait
    return decided_claim(job_id, holder, _consequences(holder, to))


def _consequences(holder: Holder, to: tuple[str, ...]) -> Iterator[str]:
    where = ", ".join(to) or "the systems that were asked before"
    yield f"It is taken from there and offered to {where}."
    if holder.is_presumed_gone:
        yield f"Should the agent of {holder.system} come back, it ends what still runs there."
    else:
        yield f"WARNING: it may run twice, for {holder.system} may be running it now."


def _told(job_id: str, done: Requeued) -> str:
    taken = f"taken back from {done.taken_from} and " if done.taken_from else ""
    return f"Job ({job_id}) is {taken}offered to {', '.join(done.systems)}."
