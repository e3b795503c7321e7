"""List clusters."""

from __future__ import annotations

from attrs import frozen

from cloudq.domain.clusters.cluster import Cluster
from cloudq.ports.cluster_provisioner import ClusterProvisioner


@frozen
class ListClusters:
    """Every cluster of this account and region."""

    provisioner: ClusterProvisioner

    def __call__(self) -> tuple[Cluster, ...]:
        """Clusters of which anything exists, by name."""
        return tuple(sorted(self.provisioner.clusters(), key=lambda cluster: cluster.name))
