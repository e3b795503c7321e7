"""Create a cluster, or continue a creation that any process began."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import define, field, frozen

from cloudq.application.builder.await_stack import AwaitStack
from cloudq.application.builder.cluster_failure import cluster_failure
from cloudq.application.builder.cluster_report import Report
from cloudq.application.builder.settle_cluster import SettleCluster, SettledCluster
from cloudq.domain.clusters.cluster import Cluster, Part, StackState, checked_cluster_name
from cloudq.domain.clusters.preset import (
    COMPUTE_NODE_FILE,
    CONFIGURATION_FILE,
    HEAD_NODE_FILE,
    NETWORK_FILE,
    PLANNED_SUBNET,
    fill,
    with_tag,
)
from cloudq.domain.clusters.request import ClusterRequest
from cloudq.domain.clusters.steps import Step, creation_step
from cloudq.domain.errors import ClusterConflict, ClusterIncomplete, ClusterNotCreated
from cloudq.ports.cluster_provisioner import CloudAccount, ClusterProvisioner
from cloudq.ports.presets import Presets, Wheel

_PARTS = {
    Step.MAKE_NETWORK: Part.NETWORK,
    Step.DELETE_NETWORK: Part.NETWORK,
    Step.WAIT_FOR_NETWORK: Part.NETWORK,
    Step.MAKE_NODES: Part.NODES,
    Step.DELETE_NODES: Part.NODES,
    Step.WAIT_FOR_NODES: Part.NODES,
}

_PLANNED = dict.fromkeys(("HeadNodeSubnetId", "ComputeSubnetId"), PLANNED_SUBNET)
"""Placeholders for the subnets while the network does not exist."""

OWN_NETWORK = "10.0.0.0/16"
"""The cluster's own network, as in the shipped presets: no address outside it may try to log in."""
_NAMED_LATER = "arn:aws:secretsmanager:::secret:not-made-yet"


@frozen
class CreateCluster:
    """Create a cluster step by step, starting from what exists."""

    provisioner: ClusterProvisioner
    account: CloudAccount
    presets: Presets
    settle: SettleCluster
    wheel: Callable[[], Wheel]
    await_stack: AwaitStack
    report: Report

    def __call__(self, request: ClusterRequest, *, wait: bool = True) -> Cluster:
        """Create the cluster; without *wait*, return while its nodes are being created.

        Another call continues where this one stopped, and does nothing if the cluster is complete. Raises
        `InvalidInput` and `NameTaken` before anything is made, `ClusterFailed` with the cloud's message, and
        `ClusterConflict` if another command deletes the cluster at the same time.
        """
        name = checked_cluster_name(request.name)
        cluster = self.provisioner.find(name)
        if creation_step(cluster) is Step.DONE:
            self.report.note(f"{name} is already complete; nothing was changed")
            return cluster
        settled = self.settle(request, cluster)
        self.provisioner.check_nodes(name, self.configuration(settled, _PLANNED, _NAMED_LATER), deeply=False)
        return _Creation(self, settled).run(cluster, wait=wait)

    def plan(self, request: ClusterRequest) -> Mapping[str, str]:
        """Return every file as it would be used, by name; make nothing. Raises as a creation does."""
        name = checked_cluster_name(request.name)
        cluster = self.provisioner.find(name)
        settled = self.settle(request, cluster)
        network = cluster.network.outputs if cluster.network else {}
        configuration = self.configuration(settled, {**_PLANNED, **network}, _NAMED_LATER)
        self.provisioner.check_nodes(name, configuration, deeply=bool(network))
        scripts = {file: text.decode(errors="replace") for file, text in settled.preset.scripts.items()}
        policies = self.presets.person_policies(request.permissions_boundary)
        return {
            NETWORK_FILE: settled.preset.network,
            CONFIGURATION_FILE: configuration,
            **scripts,
            **policies,
        }

    def make_network(self, settled: SettledCluster) -> None:
        """Begin to create the network, including the access to the job bucket."""
        name, store = settled.request.name, settled.request.store
        parameters = {"ClusterName": name, "Zone": settled.zone}
        if settled.by_role:
            parameters |= {"StoreBucket": store.bucket, "StorePrefix": store.prefix}
        else:
            parameters["SecretArn"] = self.account.keep_secret(name, store.profile)
        known = {key: value for key, value in parameters.items() if key in settled.preset.parameters}
        self.provisioner.create_network(name, settled.preset.network, known)

    def make_nodes(self, settled: SettledCluster, network: Mapping[str, str]) -> None:
        """Upload the files that the nodes need, and begin to create the nodes."""
        name, store = settled.request.name, settled.request.store
        secret = "" if settled.by_role else self.account.keep_secret(name, store.profile)
        wheel = self.wheel()
        self.account.place_files(name, {**settled.preset.scripts, wheel.name: wheel.content})
        self.provisioner.create_nodes(name, self.configuration(settled, network, secret))

    def configuration(self, settled: SettledCluster, network: Mapping[str, str], secret: str) -> str:
        """Return the configuration of the nodes in the network whose outputs are *network*."""
        name, store = settled.request.name, settled.request.store
        place = self.account.setup_place(name)
        values = {
            "region": settled.identity.region,
            "cluster_name": name,
            "keypair": settled.request.keypair,
            "head_subnet": network["HeadNodeSubnetId"],
            "compute_subnet": network["ComputeSubnetId"],
            "setup_bucket": place.bucket,
            "setup_prefix": place.prefix,
            "head_node_script": place.url(HEAD_NODE_FILE),
            "compute_node_script": place.url(COMPUTE_NODE_FILE),
            "system": name,
            "store_endpoint": store.endpoint_url,
            "store_bucket": store.bucket,
            "store_prefix": store.prefix,
            "store_region": store.region,
            "wheel": place.url(self.wheel().name),
            "secret": "" if settled.by_role else secret,
            "allowed_cidr": settled.request.allowed_cidr or OWN_NETWORK,
            "permissions_boundary": settled.request.permissions_boundary,
            "secret_policy": network.get("SecretPolicyArn", ""),
            "store_policy": network.get("StorePolicyArn", ""),
        }
        return self.presets.text_of(with_tag(fill(settled.preset.configuration, values), name))


@define
class _Creation:
    """One run of a creation, which notices if a stack that it began fails or disappears."""

    create: CreateCluster
    settled: SettledCluster
    begun: set[Part] = field(factory=set)

    def run(self, cluster: Cluster, *, wait: bool) -> Cluster:
        while (step := creation_step(cluster)) is not Step.DONE:
            if step is Step.REFUSE:
                raise ClusterIncomplete(cluster.name)
            part = _PARTS[step]
            self._complain(cluster, part)
            self._act(step, part, cluster)
            if not wait and Part.NODES in self.begun:
                return self.create.provisioner.find(cluster.name)
            cluster = self.create.await_stack(cluster.name, part)
        return cluster

    def _act(self, step: Step, part: Part, cluster: Cluster) -> None:
        name, provisioner, report = cluster.name, self.create.provisioner, self.create.report
        if step in {Step.DELETE_NETWORK, Step.DELETE_NODES}:
            report.note(f"The stack ({part.stack_of(name)}) has failed; it is removed and created again.")
            provisioner.delete(name, part)
            report.stack(name, part, "deleting")
            return
        stack = cluster.part(part)
        if stack is not None and stack.state is StackState.DELETING:
            report.stack(name, part, "deleting")
            return
        if step is Step.MAKE_NETWORK:
            self.create.make_network(self.settled)
        elif step is Step.MAKE_NODES and cluster.network is not None:
            self.create.make_nodes(self.settled, cluster.network.outputs)
        self.begun.add(part)
        report.stack(name, part, "creating")

    def _complain(self, cluster: Cluster, part: Part) -> None:
        """Raise if a stack that this run began has failed, or if another command deletes it."""
        for begun in self.begun & ({part} | ({Part.NETWORK} if part is Part.NODES else set())):
            stack = cluster.part(begun)
            name = begun.stack_of(cluster.name)
            if stack is None or stack.state is StackState.DELETING:
                raise ClusterConflict(f"The stack ({name}) was being created; another command deletes it.")
            if stack.state is StackState.FAILED:
                raise cluster_failure(
                    ClusterNotCreated, self.create.provisioner, cluster.name, begun, stack.reason
                )
