"""``cloudqaws list``."""

from __future__ import annotations

import click

from cloudq.domain.clusters.cluster import ClusterState
from cloudq.entrypoints.cloudqaws.output import cluster_lines, cluster_record
from cloudq.entrypoints.cloudqaws.session import Session, pass_session, profile_option
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option
from cloudq.entrypoints.shared.terminal import show_message


@click.command
@profile_option
@json_option
@common_options
@pass_session
def command(session: Session, profile: str | None, as_json: bool) -> None:
    """List the requested clusters in the region of the profile."""
    clusters = session.builder(profile or "").list()
    if as_json:
        print_json([cluster_record(cluster) for cluster in clusters])
        return
    for line in cluster_lines(clusters):
        click.echo(line)
    for cluster in clusters:
        if cluster.state is ClusterState.PARTIAL:
            show_message(
                f"{cluster.name}: only one of its two stacks exists, and may cost money. If no command is "
                f"running for it, 'cloudqaws create' continues its creation, and "
                f"'cloudqaws delete --name {cluster.name}' removes it."
            )
