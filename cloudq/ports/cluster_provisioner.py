"""Clusters in a cloud: their stacks, and what they need of the account around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from attrs import frozen

from cloudq.domain.clusters.cluster import Cluster, Part
from cloudq.domain.clusters.request import JobBucket


class ClusterProvisioner(Protocol):
    """Makes and removes the stacks of clusters.

    Nothing is remembered between calls: what exists in the cloud is all there is to know. Every
    method raises `CloudUnavailable` if no answer came, and `CloudRefused` for one that says no.
    """

    def find(self, name: str) -> Cluster:
        """What exists of a cluster. Raises `NameTaken` if a stack with its name is not cloudq's."""
        ...

    def clusters(self) -> tuple[Cluster, ...]:
        """Every cluster of which anything exists, by name. Stacks that are not cloudq's are left out."""
        ...

    def create_network(self, name: str, template: str, parameters: Mapping[str, str]) -> None:
        """Begin to make the network; no error if somebody began before. Does not wait."""
        ...

    def create_nodes(self, name: str, configuration: str) -> None:
        """Begin to make the nodes; no error if somebody began before. Does not wait.

        Raises `ConfigurationRejected` with all that is wrong with *configuration*; then nothing was made.
        """
        ...

    def check_nodes(self, name: str, configuration: str, *, deeply: bool) -> None:
        """Raise `ConfigurationRejected` if *configuration* cannot be used; makes nothing.

        *deeply*: with what the cloud says of its values, else its form alone.
        """
        ...

    def delete(self, name: str, part: Part) -> None:
        """Begin to remove a part; no error if it is gone or going. Does not wait."""
        ...

    def last_event(self, name: str, part: Part) -> str:
        """What happened last in a part, for somebody who waits; empty if that cannot be told."""
        ...

    def failures(self, name: str, part: Part) -> tuple[str, ...]:
        """What failed in a part in the cloud's own words, the first one first; later ones follow from it."""
        ...


@frozen
class Identity:
    """In whose name and where everything is made."""

    account: str
    region: str


@frozen
class SetupPlace:
    """Where a cluster's nodes get their scripts and their cloudq from."""

    bucket: str
    prefix: str

    def url(self, name: str) -> str:
        """Where the file *name* is."""
        return f"s3://{self.bucket}/{self.prefix}/{name}"


class CloudAccount(Protocol):
    """What a cluster needs besides its stacks. Errors are those of `ClusterProvisioner`."""

    def identity(self) -> Identity:
        """Whose account it is. Raises `ConfigProblem` without region or credentials."""
        ...

    def has_keypair(self, name: str) -> bool:
        """Whether there is such an SSH key pair in this region."""
        ...

    def offers(self, types: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
        """Each zone that can be used, and which of *types* it has."""
        ...

    def own_bucket_region(self, bucket: str) -> str | None:
        """The region of a bucket that belongs to this account; None if it is none of its own."""
        ...

    def look_at_bucket(self, store: JobBucket) -> None:
        """Raise `InvalidInput` if the keys of *store* do not open it; `CloudUnavailable` if none answers."""
        ...

    def place_files(self, cluster: str, files: Mapping[str, bytes]) -> SetupPlace:
        """Put *files* where only this account, and the cluster's nodes, can read them; again is no error."""
        ...

    def setup_place(self, cluster: str) -> SetupPlace:
        """Where `place_files` puts a cluster's files."""
        ...

    def keep_secret(self, cluster: str, profile: str) -> str:
        """Keep the keys of *profile* where only roles that are let in read them; returns the secret's name.

        Again is no error, and renews them. Raises `ConfigProblem` if the profile has no keys or ones
        that expire. The keys are in no other place that this makes.
        """
        ...

    def forget(self, cluster: str) -> None:
        """Remove files and secret of a cluster; no error if there are none."""
        ...

    def leftovers(self, cluster: str) -> tuple[str, ...]:
        """What is left of a deleted cluster and may cost, in words; empty if that cannot be told."""
        ...
