"""``cloudqaws delete``."""

from __future__ import annotations

import click

from cloudq.entrypoints.cloudqaws.output import cluster_record
from cloudq.entrypoints.cloudqaws.session import (
    Session,
    interruptible,
    pass_session,
    profile_option,
)
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option, option
from cloudq.entrypoints.shared.terminal import show_message


@click.command
@option("--name", required=True, metavar="NAME", help="Name of the cluster.")
@profile_option
@option("--no_wait", is_flag=True, help="Return as soon as the deletion has started.")
@json_option
@common_options
@pass_session
def command(session: Session, name: str, profile: str | None, no_wait: bool, as_json: bool) -> None:
    """Delete a cluster, even an incomplete one, with all its machines."""
    builder = session.builder(profile or "", quiet=as_json)
    again = f"Run 'cloudqaws delete --name {name}' again to continue."
    with interruptible(again):
        left = builder.delete(name, wait=not no_wait)
    if as_json:
        print_json(cluster_record(left))
    if left.exists:
        show_message(f"The network remains, and may cost money, until you delete it. {again}")
        return
    for leftover in builder.delete.leftovers(name):
        show_message(f"Not deleted, and may cost money: {leftover}")
