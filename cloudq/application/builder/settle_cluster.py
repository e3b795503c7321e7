"""Check everything that can be checked before anything is made, and fill in what the user left open."""

from __future__ import annotations

from attrs import evolve, frozen

from cloudq.application.builder.cluster_report import Report
from cloudq.domain.clusters.cluster import Cluster
from cloudq.domain.clusters.preset import Preset, instance_types
from cloudq.domain.clusters.request import (
    ClusterRequest,
    JobBucket,
    chosen_zone,
    problems_with_access,
)
from cloudq.domain.errors import BucketNeedsProfile, CloudUnavailable, InvalidInput
from cloudq.domain.problems import Problems
from cloudq.domain.stores.endpoint import is_plain_http
from cloudq.ports.cluster_provisioner import CloudAccount, Identity
from cloudq.ports.presets import Presets


@frozen
class SettledCluster:
    """The request for a cluster with every open choice decided."""

    request: ClusterRequest
    preset: Preset
    identity: Identity
    zone: str
    by_role: bool
    """Whether the nodes' role gives access to the job bucket; otherwise a secret does."""


@frozen
class SettleCluster:
    """Check a request and decide its open choices."""

    account: CloudAccount
    presets: Presets
    report: Report

    def __call__(self, request: ClusterRequest, cluster: Cluster) -> SettledCluster:
        """Settle *request*; *cluster* is what exists of it already.

        Raises `InvalidInput` with all problems at once.
        """
        problems = Problems()
        problems.extend(problems_with_access(request))
        identity = self.account.identity()
        preset = problems.collect(self.presets.load, request.preset)
        if not self.account.has_keypair(request.keypair):
            problems.add(
                f"key pair {request.keypair!r} does not exist in {identity.region}; "
                "create one with 'aws ec2 create-key-pair', or name another"
            )
        zone = problems.collect(self._zone, request, preset, cluster) if preset else None
        own_region = self._own_region(request.store)
        problems.collect(self._look_at_store, request.store, own_region, identity)
        problems.extend(_other_bucket(request.store, by_role=own_region is not None, cluster=cluster))
        if problems or preset is None:
            raise problems.error()
        store = evolve(request.store, region=request.store.region or own_region or "")
        request = evolve(request, store=store)
        return SettledCluster(request, preset, identity, zone or "", own_region is not None)

    def _zone(self, request: ClusterRequest, preset: Preset, cluster: Cluster) -> str:
        there = cluster.network.parameters.get("Zone", "") if cluster.network else ""
        if there and request.zone and there != request.zone:
            raise InvalidInput(
                f"zone {request.zone}: the network of this cluster is already in {there}; "
                "omit the zone, or delete the cluster first"
            )
        types = instance_types(preset.configuration)
        return chosen_zone(there or request.zone, types, self.account.offers(types))

    def _own_region(self, store: JobBucket) -> str | None:
        return self.account.own_bucket_region(store.bucket) if store.is_amazons else None

    def _look_at_store(self, store: JobBucket, own_region: str | None, identity: Identity) -> None:
        if is_plain_http(store.endpoint_url):
            raise InvalidInput(
                f"endpoint {store.endpoint_url}: a cluster on AWS uses only https://, because "
                "an attacker on the network could replace a script otherwise"
            )
        if own_region is not None:
            if own_region != identity.region:
                self.report.note(
                    f"bucket {store.bucket} is in {own_region}, the cluster in {identity.region}: "
                    "that works, but every transfer between them costs money"
                )
            return
        if not store.profile:
            raise InvalidInput(
                BucketNeedsProfile(
                    f"bucket {store.bucket!r} does not belong to this account: name the profile in "
                    "~/.aws/credentials that has its keys"
                )
            )
        try:
            self.account.look_at_bucket(store)
        except CloudUnavailable as error:
            self.report.note(
                f"bucket {store.bucket} could not be checked from here; the head node will try: {error}"
            )


def _other_bucket(store: JobBucket, *, by_role: bool, cluster: Cluster) -> list[str]:
    """Return a problem if the existing network was made for another bucket; that needs another network."""
    if cluster.network is None:
        return []
    there = cluster.network.parameters
    opened = there.get("StoreBucket", ""), there.get("StorePrefix", "")
    wanted = (store.bucket, store.prefix) if by_role else ("", "")
    if "StoreBucket" not in there or opened == wanted:
        return []
    has = f"bucket {'/'.join(opened)}".rstrip("/") if opened[0] else "a bucket of another account or service"
    return [f"the network of this cluster was created for {has}: name that one, or delete the cluster first"]
