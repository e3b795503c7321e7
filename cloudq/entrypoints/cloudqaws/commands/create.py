"""``cloudqaws create``."""

from __future__ import annotations

from collections.abc import Mapping

import click

from cloudq.domain.clusters.cluster import ClusterState
from cloudq.domain.clusters.request import ClusterRequest, JobBucket
from cloudq.domain.errors import ConfigProblem
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

_ACCESS = {
    "": (
        "The head node accepts no logins from outside the cluster; the agent needs no open port. "
        "To log in, pass your address: --allowed_cidr 203.0.113.7/32"
    ),
    "0.0.0.0/0": "Any address on the internet may try to log in to the head node.",
}
_STORE_OPTIONS = ("cs_bucket", "cs_endpoint", "cs_profile")


@click.command
@option("--name", required=True, metavar="NAME", help="Name of the cluster, and of the system for jobs.")
@option("--keypair", required=True, metavar="NAME", help="SSH key pair to log in to the head node with.")
@option("--cs_profile", metavar="NAME", help="Profile of ~/.aws/credentials with the keys to the job bucket.")
@option("--cs_endpoint", metavar="URL", help="Service of the job bucket, if it is not Amazon S3.")
@option("--cs_bucket", metavar="NAME", help="Job bucket (default: the bucket in the configuration).")
@option("--zone", metavar="ZONE", help="Availability zone (default: one with the instance types).")
@option(
    "--allowed_cidr",
    metavar="CIDR",
    help="Addresses that may log in to the head node, such as 203.0.113.7/32 (default: none).",
)
@option(
    "--permissions_boundary", metavar="ARN", help="Policy that limits what the roles of the machines may do."
)
@option("--preset_name", default="default", show_default=True, metavar="NAME", help="Preset to build.")
@profile_option
@option("--dry_run", is_flag=True, help="Check, and print all generated files; create nothing.")
@option("--no_wait", is_flag=True, help="Return as soon as the nodes are being created.")
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
    """Create a cluster with an agent on its head node, or continue an interrupted creation.

    docs/aws.md describes the costs and how to stop them.
    """
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
    show_message(_ACCESS.get(allowed_cidr or "", f"{allowed_cidr} may log in to the head node."))
    if dry_run:
        _print_plan(builder.create.plan(request), as_json=as_json)
        return
    with interruptible(
        "Run the same command again to continue; "
        f"'cloudqaws delete --name {name}' removes what exists so far."
    ):
        cluster = builder.create(request, wait=not no_wait)
    if as_json:
        print_json(cluster_record(cluster))
    elif cluster.state is ClusterState.COMPLETED:
        click.echo(f"AWS compute cluster ({name}) has been created.")
    if cluster.state is not ClusterState.COMPLETED:
        show_message(
            "'cloudqaws list' shows when it is COMPLETED; run the same command again to wait for it."
        )


def _job_bucket(session: Session, given: Mapping[str, str | None]) -> JobBucket:
    """Return the bucket that the options name; without one, the bucket of this machine's client."""
    endpoint, profile = given["cs_endpoint"] or "", given["cs_profile"] or ""
    own = session.config().store
    if given["cs_bucket"]:
        is_own = own.bucket == given["cs_bucket"] and own.endpoint_url == endpoint
        prefix, region = (own.prefix, own.region) if is_own else ("", "")
        return JobBucket(given["cs_bucket"], endpoint, profile, prefix, region)
    if own.directory is not None or not own.bucket:
        raise ConfigProblem(
            "no bucket for the jobs of the cluster is configured: pass --cs_bucket (and --cs_endpoint and "
            "--cs_profile if it does not belong to this account)"
        )
    return JobBucket(own.bucket, endpoint or own.endpoint_url, profile or own.profile, own.prefix, own.region)


def _print_plan(files: Mapping[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json(files)
        return
    for name, text in files.items():
        click.echo(f"==> {name} <==")
        click.echo(text)
