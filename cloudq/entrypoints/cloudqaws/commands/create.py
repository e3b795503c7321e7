"""``cloudqaws create``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from cloudq.domain.clusters.request import JobBucket

_ACCESS = {
    "": (
        "Nobody outside the cluster may log in to the head node; the agent needs no open port. "
        "To log in, name your address: --allowed_cidr 203.0.113.7/32"
    ),
    "0.0.0.0/0": "Anybody on the internet may try to log in to the head node.",
}
_STORE_OPTIONS = ("cs_bucket", "cs_endpoint", "cs_profile")


@click.command
@option("--name", required=True, metavar="NAME", help="Name of the cluster, and of the system for jobs.")
@option("--keypair", required=True, metavar="NAME", help="SSH key pair to log in to the head node with.")
@option("--cs_profile", metavar="NAME", help="Profile of ~/.aws/credentials with the keys to the job bucket.")
@option("--cs_endpoint", metavar="URL", help="Service of the job bucket, if it is not Amazon S3.")
@option("--cs_bucket", metavar="NAME", help="The job bucket; that of the configuration otherwise.")
@option("--zone", metavar="ZONE", help="Availability zone; one that has the instance types otherwise.")
@option(
    "--allowed_cidr",
    metavar="CIDR",
    help="Addresses that may log in to the head node, such as 203.0.113.7/32; none otherwise.",
)
@option(
    "--permissions_boundary", metavar="ARN", help="Policy that limits what the roles of the machines may do."
)
@option("--preset_name", default="default", show_default=True, metavar="NAME", help="What is built.")
@profile_option
@option("--dry_run", is_flag=True, help="Check, and print every file as it would be used; make nothing.")
@option("--no_wait", is_flag=True, help="Return once the nodes are being made.")
@json_option
@common_options
@pass_session
def command(
    session: Session,
    /,
    name: str,
    keypair: str,
    zone: str | None,
    preset_name: str,
    profile: str | None,
    allowed_cidr: str | None,
    permissions_boundary: str | None,
    *,
    dry_run: bool,
    no_wait: bool,
    as_json: bool,
    **store: str | None,
) -> None:
    """Make a cluster with an agent on its head node; again: go on making it.

    What it costs and how to stop that: docs/aws.md.
    """
    from cloudq.domain.clusters.cluster import ClusterState  # noqa: PLC0415
    from cloudq.domain.clusters.request import ClusterRequest  # noqa: PLC0415

    bucket = _job_bucket(session, store)
    request = ClusterRequest(
        name,
        keypair,
        bucket,
        preset_name,
        zone or "",
        allowed_cidr=allowed_cidr or "",
        permissions_boundary=permissions_boundary or "",
    )
    builder = session.builder(profile or "", quiet=as_json)
    tell(_ACCESS.get(allowed_cidr or "", f"{allowed_cidr} may log in to the head node."))
    if dry_run:
        _print_plan(builder.create.plan(request), as_json=as_json)
        return
    with interruptible(
        "The same command goes on where this one stopped; "
        f"'cloudqaws delete --name {name}' removes what there is."
    ):
        cluster = builder.create(request, wait=not no_wait)
    if as_json:
        print_json(cluster_record(cluster))
    elif cluster.state is ClusterState.COMPLETED:
        click.echo(f"AWS compute cluster ({name}) has been created.")
    if cluster.state is not ClusterState.COMPLETED:
        tell("'cloudqaws list' tells when it is COMPLETED; the same command waits for it.")


def _job_bucket(session: Session, given: Mapping[str, str | None]) -> JobBucket:
    """Return the bucket that the options name; without one, the bucket of this machine's client."""
    from cloudq.domain.clusters.request import JobBucket  # noqa: PLC0415
    from cloudq.domain.errors import ConfigProblem  # noqa: PLC0415

    endpoint, profile = given["cs_endpoint"] or "", given["cs_profile"] or ""
    own = session.config().store
    if given["cs_bucket"]:
        is_own = own.bucket == given["cs_bucket"] and own.endpoint_url == endpoint
        prefix, region = (own.prefix, own.region) if is_own else ("", "")
        return JobBucket(given["cs_bucket"], endpoint, profile, prefix, region)
    if own.directory is not None or not own.bucket:
        raise ConfigProblem(
            "a cluster gets its jobs from a bucket, and none is configured: name one with --cs_bucket "
            "(and --cs_endpoint and --cs_profile where it is not this account's)"
        )
    return JobBucket(own.bucket, endpoint or own.endpoint_url, profile or own.profile, own.prefix, own.region)


def _print_plan(files: Mapping[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json(files)
        return
    for name, text in files.items():
        click.echo(f"==> {name} <==")
        click.echo(text)
