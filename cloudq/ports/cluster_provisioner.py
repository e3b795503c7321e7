"""Clusters in a cloud: their stacks, and what they need from the account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from attrs import frozen

from cloudq.domain.clusters.cluster import Cluster, Part
from cloudq.domain.clusters.request import JobBucket


class ClusterProvisioner(Protocol):
    """Create and delete the stacks of clusters.

    Nothing is remembered between calls: only what exists in the cloud counts. Every method raises
    `CloudUnavailable` if no answer was received, and `CloudRefused` for a refusal.
    """

    def find(self, name: str) -> Cluster:
        """Return what exists of a cluster. Raises `NameTaken` if a stack with its name is not cloudq's."""
        ...

    def clusters(self) -> tuple[Cluster, ...]:
        """Return every cluster of which any part exists, by name, without stacks that are not cloudq's."""
        ...

    def create_network(self, name: str, template: str, parameters: Mapping[str, str]) -> None:
        """Start to create the network; no error if this was started before. Does not wait."""
        ...

    def create_nodes(self, name: str, configuration: str) -> None:
        """Start to create the nodes; no error if this was started before. Does not wait.

        Raises `ConfigurationRejected` with all problems of *configuration*; then nothing was created.
        """
        ...

    def check_nodes(self, name: str, configuration: str, *, deeply: bool) -> None:
        """Raise `ConfigurationRejected` if *configuration* cannot be used; create nothing.

        If *deeply* is set, the cloud checks the values too; otherwise only the form is checked.
        """
        ...

    def delete(self, name: str, part: Part) -> None:
        """Start to delete a part; no error if it is gone or being deleted. Does not wait."""
        ...

    def last_event(self, name: str, part: Part) -> str:
        """Return the last event in a part, for a user who waits; empty if it cannot be determined."""
        ...

    def failures(self, name: str, part: Part) -> tuple[str, ...]:
        """Return the failures in a part, in the cloud's own words; later ones follow from the first one."""
        ...


@frozen
class Identity:
    """The account and the region in which everything is created."""

    account: str
    region: str


@frozen
class SetupPlace:
    """The place from which a cluster's nodes get their scripts and their cloudq."""

    bucket: str
    prefix: str

    def url(self, name: str) -> str:
        """Return the URL of the file *name*."""
        return f"s3://{self.bucket}/{self.prefix}/{name}"


class CloudAccount(Protocol):
    """The resources that a cluster needs besides its stacks. Errors are those of `ClusterProvisioner`."""

    def identity(self) -> Identity:
        """Return the account and the region. Raises `ConfigProblem` without region or credentials."""
        ...

    def has_keypair(self, name: str) -> bool:
        """Return whether this region has an SSH key pair of this name."""
        ...

    def offers(self, types: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
        """Return each zone that can be used, and which of *types* it has."""
        ...

    def own_bucket_region(self, bucket: str) -> str | None:
        """Return the region of a bucket that belongs to this account; None if the bucket does not."""
        ...

    def look_at_bucket(self, store: JobBucket) -> None:
        """Raise `InvalidInput` if the keys do not open *store*, `CloudUnavailable` if there is no answer."""
        ...

    def place_files(self, cluster: str, files: Mapping[str, bytes]) -> SetupPlace:
        """Put *files* where only this account and the cluster's nodes can read them; may be repeated."""
        ...

    def setup_place(self, cluster: str) -> SetupPlace:
        """Return the place where `place_files` puts a cluster's files."""
        ...

    def keep_secret(self, cluster: str, profile: str) -> str:
        """Store the keys of *profile* where only permitted roles can read them; return the secret's name.

        Repeating it is no error, and renews the keys. Raises `ConfigProblem` if the profile has no keys, or
        keys that expire. Nothing else that this creates contains the keys.
        """
        ...

    def forget(self, cluster: str) -> None:
        """Remove the files and the secret of a cluster; no error if there are none."""
        ...

    def leftovers(self, cluster: str) -> tuple[str, ...]:
        """Return what is left of a deleted cluster and may cost money, in words; empty if this is unknown."""
        ...
