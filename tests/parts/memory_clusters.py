"""Provide a cloud in memory: clusters that take time, fail on request, and cost nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from attrs import define, evolve, field

from cloudq.domain.clusters.cluster import Cluster, Part, Stack, StackState
from cloudq.domain.clusters.request import JobBucket
from cloudq.domain.errors import ConfigurationRejected, InvalidInput, NameTaken
from cloudq.ports.clock import Clock
from cloudq.ports.cluster_provisioner import Identity, SetupPlace

ACCOUNT = "123456789012"


@define
class _Life:
    """A stack, the time of its next change, and its cluster."""

    stack: Stack
    due: float
    cluster: str


@define
class MemoryCloud:
    """`ClusterProvisioner` and `CloudAccount` in one; all that a test reads or sets is public."""

    clock: Clock
    region: str = "ap-northeast-1"
    creation_s: float = 60.0
    deletion_s: float = 30.0
    keypairs: set[str] = field(factory=lambda: {"my-key"})
    zones: dict[str, set[str] | None] = field(
        factory=lambda: {"ap-northeast-1a": None, "ap-northeast-1c": None}
    )
    """The instance types of each zone; None: all types."""
    buckets: dict[str, str] = field(factory=dict)
    """This account's buckets and their regions."""
    profiles: dict[str, str] = field(factory=dict)
    """The profiles that have keys, and the keys."""
    fails: dict[str, str] = field(factory=dict)
    """The stacks whose creation or deletion will fail, and the reasons."""
    files: dict[str, bytes] = field(factory=dict)
    secrets: dict[str, str] = field(factory=dict)
    made: list[str] = field(factory=list)
    """Every stack whose creation was started, in order."""
    configurations: dict[str, str] = field(factory=dict)
    _lives: dict[str, _Life] = field(factory=dict)

    # ClusterProvisioner ----------------------------------------------------------------------

    def find(self, name: str) -> Cluster:
        return Cluster(name, self._own(name, Part.NETWORK), self._own(name, Part.NODES))

    def clusters(self) -> tuple[Cluster, ...]:
        names = sorted({life.cluster for life in list(self._lives.values()) if life.cluster})
        return tuple(cluster for cluster in map(self.find, names) if cluster.exists)

    def create_network(self, name: str, template: str, parameters: Mapping[str, str]) -> None:
        if "Resources" not in template:
            raise ConfigurationRejected("the template of the network: it makes nothing")
        self._begin(name, Part.NETWORK, parameters)

    def create_nodes(self, name: str, configuration: str) -> None:
        if Part.NODES.stack_of(name) not in self._lives:
            self.check_nodes(name, configuration, deeply=True)
            self.configurations[name] = configuration
        self._begin(name, Part.NODES, {})

    def check_nodes(self, name: str, configuration: str, *, deeply: bool) -> None:
        if "HeadNode" not in configuration:
            raise ConfigurationRejected("cluster.yaml: HeadNode is missing")

    def delete(self, name: str, part: Part) -> None:
        stack = self._own(name, part)
        if stack is not None and stack.state is not StackState.DELETING:
            life = self._lives[stack.name]
            life.stack = evolve(life.stack, state=StackState.DELETING)
            life.due = self.clock.elapsed() + self.deletion_s

    def last_event(self, name: str, part: Part) -> str:
        stack = self._own(name, part)
        return "" if stack is None else f"{stack.name} {stack.state}"

    def failures(self, name: str, part: Part) -> tuple[str, ...]:
        reason = self.fails.get(part.stack_of(name))
        return () if reason is None else (reason,)

    # CloudAccount ----------------------------------------------------------------------------

    def identity(self) -> Identity:
        return Identity(ACCOUNT, self.region)

    def has_keypair(self, name: str) -> bool:
        return name in self.keypairs

    def offers(self, types: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
        return {
            zone: frozenset(types if there is None else there.intersection(types))
            for zone, there in self.zones.items()
        }

    def own_bucket_region(self, bucket: str) -> str | None:
        return self.buckets.get(bucket)

    def look_at_bucket(self, store: JobBucket) -> None:
        self._keys(store.profile)

    def keep_secret(self, cluster: str, profile: str) -> str:
        self.secrets[f"cloudq/{cluster}/store"] = json.dumps(self._keys(profile))
        return f"arn:aws:secretsmanager:{self.region}:{ACCOUNT}:secret:cloudq/{cluster}/store-AbCdEf"

    def setup_place(self, cluster: str) -> SetupPlace:
        return SetupPlace(f"cloudq-setup-{ACCOUNT}-{self.region}", f"clusters/{cluster}")

    def place_files(self, cluster: str, files: Mapping[str, bytes]) -> SetupPlace:
        place = self.setup_place(cluster)
        self.files.update({f"{place.prefix}/{name}": content for name, content in files.items()})
        return place

    def forget(self, cluster: str) -> None:
        self.secrets.pop(f"cloudq/{cluster}/store", None)
        prefix = f"{self.setup_place(cluster).prefix}/"
        self.files = {name: content for name, content in self.files.items() if not name.startswith(prefix)}

    def leftovers(self, cluster: str) -> tuple[str, ...]:
        return ()

    # For tests -------------------------------------------------------------------------------

    def put_foreign(self, stack: str) -> None:
        """Put a stack of this name that belongs to another user."""
        self._lives[stack] = _Life(Stack(stack, StackState.COMPLETE, self.clock.now()), 0.0, "")

    # The life of stacks ----------------------------------------------------------------------

    def _begin(self, name: str, part: Part, parameters: Mapping[str, str]) -> None:
        stack = part.stack_of(name)
        if self._own(name, part) is not None:
            return
        outputs = {"VpcId": "vpc-1", "HeadNodeSubnetId": "subnet-1", "ComputeSubnetId": "subnet-2"}
        policies = {"StoreBucket": "StorePolicyArn", "SecretArn": "SecretPolicyArn"}
        outputs |= {
            output: f"arn:aws:iam::{ACCOUNT}:policy/cloudq/{name}/{output}"
            for parameter, output in policies.items()
            if parameters.get(parameter)
        }
        self.made.append(stack)
        self._lives[stack] = _Life(
            Stack(
                stack,
                StackState.CREATING,
                self.clock.now(),
                outputs=MappingProxyType(outputs if part is Part.NETWORK else {}),
                parameters=MappingProxyType(dict(parameters)),
            ),
            self.clock.elapsed() + self.creation_s,
            name,
        )

    def _own(self, name: str, part: Part) -> Stack | None:
        life = self._lives.get(part.stack_of(name))
        if life is None:
            return None
        if life.cluster != name:
            raise NameTaken(f"The stack ({life.stack.name}) exists, and cloudq did not create it")
        return self._as_it_is_now(life)

    def _as_it_is_now(self, life: _Life) -> Stack | None:
        if self.clock.elapsed() < life.due:
            return life.stack
        reason = self.fails.get(life.stack.name)
        if life.stack.state in {StackState.CREATING, StackState.DELETING} and reason is not None:
            life.stack = evolve(life.stack, state=StackState.FAILED, reason=reason)
        elif life.stack.state is StackState.CREATING:
            life.stack = evolve(life.stack, state=StackState.COMPLETE)
        elif life.stack.state is StackState.DELETING:
            del self._lives[life.stack.name]
            return None
        return life.stack

    def _keys(self, profile: str) -> str:
        if profile not in self.profiles:
            raise InvalidInput(f"AWS profile {profile!r} does not exist in ~/.aws")
        return self.profiles[profile]
