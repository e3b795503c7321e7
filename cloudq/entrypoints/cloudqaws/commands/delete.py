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
from cloudq.entrypoints.shared.terminal import tell


@click.command
@option("--name", required=True, metavar="NAME", help="Name of the cluster.")
@profile_option
@option("--no_wait", is_flag=True, help="Return once the removal has begun.")
@json_option
@common_options
@pass_session
def command(session: Session, name: str, profile: str | None, no_wait: bool, as_json: bool) -> None:
    """Remove a cluster with all its machines, or what there is of one."""
    builder = session.builder(profile or "", quiet=as_json)
    again = f"'cloudqaws delete --name {name}' goes on where this one stopped."
    with interruptible(again):
        left = builder.delete(name, wait=not no_wait)
    if as_json:
        print_json(cluster_record(left))
    if left.exists:
        tell(f"Not all of it goes by itself: the network stays, and may cost, until the end of it. {again}")
        return
    for leftover in builder.delete.leftovers(name):
        tell(f"What stays, and may cost: {leftover}")
