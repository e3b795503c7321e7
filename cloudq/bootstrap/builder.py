"""Wire the builder. It imports nothing that needs POSIX, because it runs wherever clients run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen

from cloudq.adapters.clock import SystemClock
from cloudq.adapters.own_wheel import own_wheel
from cloudq.adapters.preset_files import PresetFiles
from cloudq.application.builder.await_stack import POLL_S, AwaitStack
from cloudq.application.builder.cluster_report import Report
from cloudq.application.builder.create_cluster import CreateCluster
from cloudq.application.builder.delete_cluster import DeleteCluster
from cloudq.application.builder.list_clusters import ListClusters
from cloudq.application.builder.settle_cluster import SettleCluster
from cloudq.ports.clock import Clock
from cloudq.ports.cluster_provisioner import CloudAccount, ClusterProvisioner
from cloudq.ports.presets import Presets, Wheel


@frozen
class BuilderParts:
    """All use cases of the builder, wired."""

    create: CreateCluster
    delete: DeleteCluster
    list: ListClusters


def builder_parts(
    home: Path, environ: Mapping[str, str], profile: str, report: Report, poll_s: float = POLL_S
) -> BuilderParts:
    """Wire the builder for AWS with one of the user's profiles; sends nothing."""
    from cloudq.adapters.parallelcluster.account import AwsAccount  # noqa: PLC0415 (boto3 takes long to load)
    from cloudq.adapters.parallelcluster.aws import Aws  # noqa: PLC0415
    from cloudq.adapters.parallelcluster.command import Pcluster  # noqa: PLC0415
    from cloudq.adapters.parallelcluster.provisioner import ParallelClusterProvisioner  # noqa: PLC0415
    from cloudq.adapters.parallelcluster.stacks import Stacks  # noqa: PLC0415

    aws = Aws(profile)
    pcluster = Pcluster(home, environ, lambda: aws.region, profile)
    provisioner = ParallelClusterProvisioner(Stacks(aws), pcluster)
    return wire_builder(provisioner, AwsAccount(aws), presets_of(home), SystemClock(), report, poll_s=poll_s)


def presets_of(home: Path) -> PresetFiles:
    """Return the presets of the user whose cloudq home is *home*."""
    return PresetFiles(home / "presets")


def wire_builder(
    provisioner: ClusterProvisioner,
    account: CloudAccount,
    presets: Presets,
    clock: Clock,
    report: Report,
    wheel: Callable[[], Wheel] = own_wheel,
    poll_s: float = POLL_S,
) -> BuilderParts:
    """Wire the builder over any cloud."""
    await_stack = AwaitStack(provisioner, clock, report, poll_s)
    settle = SettleCluster(account, presets, report)
    return BuilderParts(
        create=CreateCluster(provisioner, account, presets, settle, wheel, await_stack, report),
        delete=DeleteCluster(provisioner, account, await_stack, report),
        list=ListClusters(provisioner),
    )
