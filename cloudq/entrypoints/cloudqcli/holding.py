"""Show the holder of a job before the job is taken from it, and ask the user to decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cloudq.domain.names import span
from cloudq.entrypoints.shared.terminal import can_ask_user, local_time, show_message

if TYPE_CHECKING:
    from cloudq.application.shared.find_holder import Holder

NOT_CONFIRMED = 1

claim_option = click.option(
    "--claim",
    type=int,
    metavar="N",
    help="Replace the claim with this number without asking.",
)


yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")


def is_user_asked(*, yes: bool) -> bool:
    """Return whether `require_consent` asks: the user has not agreed yet, and a terminal is there."""
    return not yes and can_ask_user()


def require_consent(question: str, *, yes: bool) -> None:
    """Ask the user on a terminal; end the command if the user does not agree. Elsewhere, ask nothing."""
    if not is_user_asked(yes=yes):
        return
    if not click.confirm(question, default=False, err=True):
        show_message("Nothing was changed.")
        click.get_current_context().exit(NOT_CONFIRMED)


def decided_claim(job_id: str, holder: Holder, consequences: Iterator[str], *, yes: bool) -> int:
    """Return the claim that the user agrees to replace, after reading its holder and the consequences.

    Ends the command if the user does not agree; raises a usage error if there is no terminal to ask on. With
    *yes*, the user has agreed already.
    """
    for line in (*_holder_lines(job_id, holder), *consequences):
        show_message(line)
    if not yes and not can_ask_user():
        raise click.UsageError(f"no terminal to confirm on: to confirm, add --claim {holder.claim.n}")
    require_consent("Continue?", yes=yes)
    return holder.claim.n


def _holder_lines(job_id: str, holder: Holder) -> Iterator[str]:
    claim, heartbeat = holder.claim, holder.last_heartbeat
    yield f"Job ({job_id}) is held by {holder.system} since {local_time(claim.time)}, by claim {claim.n}."
    if heartbeat is None:
        yield f"The store has no record of an agent of {holder.system}."
    else:
        lease = heartbeat.lease
        given_back = ", when it was stopped" if lease.released else ""
        yield f"Its agent on {lease.process.host} last reported {span(heartbeat.age_s)} ago{given_back}."
