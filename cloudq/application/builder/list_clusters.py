"""List clusters."""

from __future__ import annotations

from attrs import frozen

from cloudq.domain.clusters.cluster import Cluster
from cloudq.ports.cluster_provisioner import ClusterProvisioner


@frozen
class ListClusters:
    """List the clusters of this account and region."""

    provisioner: ClusterProvisioner

    def __call__(self) -> tuple[Cluster, ...]:
        """Return all clusters of which any part exists, sorted by name."""
        return tuple(sorted(self.provisioner.clusters(), key=lambda cluster: cluster.name))
