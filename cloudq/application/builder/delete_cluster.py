"""Delete a cluster, or what exists of one."""

from __future__ import annotations

from attrs import frozen

from cloudq.application.builder.await_stack import AwaitStack
from cloudq.application.builder.cluster_failure import cluster_failure
from cloudq.application.builder.cluster_report import Report
from cloudq.domain.clusters.cluster import Cluster, Part, StackState, checked_cluster_name
from cloudq.domain.clusters.steps import Step, deletion_step
from cloudq.domain.errors import ClusterNotDeleted
from cloudq.ports.cluster_provisioner import CloudAccount, ClusterProvisioner

_DELETIONS = {Step.DELETE_NODES: Part.NODES, Step.DELETE_NETWORK: Part.NETWORK}
_WAITS = {Step.WAIT_FOR_NODES: Part.NODES, Step.WAIT_FOR_NETWORK: Part.NETWORK}


@frozen
class DeleteCluster:
    """Delete a cluster step by step, starting from what exists."""

    provisioner: ClusterProvisioner
    account: CloudAccount
    await_stack: AwaitStack
    report: Report

    def __call__(self, name: str, *, wait: bool = True) -> Cluster:
        """Delete everything of a cluster and return what is left of it.

        With *wait*, nothing is left. Without it, the deletion has begun, and another call continues it. A
        cluster of which nothing exists is no error. Raises `ClusterFailed` with the cloud's message, and
        `NameTaken` for stacks that are not cloudq's.
        """
        cluster = self.provisioner.find(checked_cluster_name(name))
        if not cluster.exists:
            self.account.forget(name)
            self.report.note(f"There is no cluster ({name}) in {self._here()}.")
            return cluster
        begun: set[Part] = set()
        while (step := deletion_step(cluster)) is not Step.DONE:
            part = _DELETIONS.get(step) or _WAITS[step]
            self._complain(cluster, part, begun)
            self._act(step, name, part)
            begun.add(part)
            if not wait:
                return cluster
            cluster = self.await_stack(name, part)
        self.report.say(f"AWS compute cluster ({name}) has been deleted.")
        return cluster

    def leftovers(self, name: str) -> tuple[str, ...]:
        """Return the leftovers of a deleted cluster that may still cost money."""
        return self.account.leftovers(name)

    def _act(self, step: Step, name: str, part: Part) -> None:
        if step is Step.DELETE_NETWORK:
            self.account.forget(name)
        if step in _DELETIONS:
            self.provisioner.delete(name, part)
        self.report.stack(name, part, "deleting")

    def _complain(self, cluster: Cluster, part: Part, begun: set[Part]) -> None:
        stack = cluster.part(part)
        if part in begun and stack is not None and stack.state is StackState.FAILED:
            raise cluster_failure(ClusterNotDeleted, self.provisioner, cluster.name, part, stack.reason)

    def _here(self) -> str:
        identity = self.account.identity()
        return f"{identity.region} of account {identity.account}"
