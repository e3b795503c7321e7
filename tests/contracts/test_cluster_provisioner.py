"""Test `ClusterProvisioner` and `CloudAccount`: in memory, and with ParallelCluster on a simulated cloud."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import define

from cloudq.domain.clusters.cluster import Cluster, Part, StackState
from cloudq.domain.clusters.preset import fill, with_tag
from cloudq.domain.clusters.request import JobBucket
from cloudq.domain.errors import CloudRefused, ConfigProblem, ConfigurationRejected, InvalidInput, NameTaken
from cloudq.ports.cluster_provisioner import CloudAccount, ClusterProvisioner, Identity
from cloudq.testing.fake_clock import FakeClock
from tests.parts.builder import NETWORK
from tests.parts.memory_clusters import MemoryCloud
from tests.parts.pcluster.part import ACCOUNT, JOBS, KEYPAIR, REGION, STORE_KEY, Cloud

PARAMETERS = {
    "ClusterName": "c",
    "Zone": f"{REGION}a",
    "StoreBucket": "",
    "StorePrefix": "p/",
    "SecretArn": "",
}
ENDS_S = 60.0


@define
class Harness:
    """An adapter, and the means of a test to look behind it."""

    provisioner: ClusterProvisioner
    account: CloudAccount
    network: str
    pass_time: Callable[[], None]
    put_foreign: Callable[[str], None]
    secrets: Callable[[], dict[str, str]]
    files: Callable[[], dict[str, bytes]]
    fail: Callable[[str, str], None]

    def settled(self, name: str = "c") -> Cluster:
        """Return the cluster once none of its stacks is being created or deleted."""
        ends = time.monotonic() + ENDS_S
        while time.monotonic() < ends:
            cluster = self.provisioner.find(name)
            states = {stack.state for stack in (cluster.network, cluster.nodes) if stack}
            if not states & {StackState.CREATING, StackState.DELETING}:
                return cluster
            self.pass_time()
        raise AssertionError(f"{cluster} never came to rest")

    def with_network(self) -> Cluster:
        self.provisioner.create_network("c", self.network, PARAMETERS)
        return self.settled()

    def configuration(self, cluster: Cluster) -> str:
        """Return a configuration that both adapters accept."""
        assert cluster.network is not None
        outputs = cluster.network.outputs
        subnets = {"head_subnet": outputs["HeadNodeSubnetId"], "compute_subnet": outputs["ComputeSubnetId"]}
        told = fill(CONFIGURATION, {**subnets, "keypair": KEYPAIR, "region": REGION})
        return json.dumps(with_tag(told, cluster.name))


CONFIGURATION: dict[str, Any] = {
    "Region": "${region}",
    "Image": {"Os": "alinux2023"},
    "HeadNode": {
        "InstanceType": "t3.medium",
        "Networking": {"SubnetId": "${head_subnet}"},
        "Ssh": {"KeyName": "${keypair}"},
    },
    "Scheduling": {
        "Scheduler": "slurm",
        "SlurmQueues": [
            {
                "Name": "main",
                "ComputeResources": [{"Name": "c5", "InstanceType": "c5.large", "MaxCount": 2}],
                "Networking": {"SubnetIds": ["${compute_subnet}"]},
            }
        ],
    },
}


def memory_harness() -> Harness:
    clock = FakeClock()
    cloud = MemoryCloud(
        clock,
        region=REGION,
        keypairs={KEYPAIR},
        buckets={JOBS: REGION},
        profiles={
            "jobs": json.dumps(
                dict(zip(("aws_access_key_id", "aws_secret_access_key"), STORE_KEY, strict=True))
            )
        },
    )
    return Harness(
        cloud,
        cloud,
        NETWORK,
        lambda: clock.pass_by(10),
        cloud.put_foreign,
        lambda: {name: str(json.loads(text)) for name, text in cloud.secrets.items()},
        lambda: cloud.files,
        lambda stack, reason: cloud.fails.update({stack: reason}),
    )


def real_harness(cloud: Cloud) -> Harness:
    from cloudq.adapters.parallelcluster.account import AwsAccount
    from cloudq.adapters.parallelcluster.aws import Aws
    from cloudq.adapters.parallelcluster.command import Pcluster
    from cloudq.adapters.parallelcluster.provisioner import ParallelClusterProvisioner
    from cloudq.adapters.parallelcluster.stacks import Stacks
    from cloudq.adapters.presets import shipped_preset

    aws = Aws()
    pcluster = Pcluster(cloud.home / ".cloudq", os.environ, lambda: aws.region)
    foreign = '{"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}'
    formation, secrets, s3 = (
        cloud.client("cloudformation"),
        cloud.client("secretsmanager"),
        cloud.client("s3"),
    )
    setup = f"cloudq-setup-{ACCOUNT}-{REGION}"

    def kept() -> dict[str, str]:
        names = [secret["Name"] for secret in secrets.list_secrets()["SecretList"]]
        return {name: secrets.get_secret_value(SecretId=name)["SecretString"] for name in names}

    def files() -> dict[str, bytes]:
        found = s3.list_objects_v2(Bucket=setup).get("Contents", [])
        return {each["Key"]: s3.get_object(Bucket=setup, Key=each["Key"])["Body"].read() for each in found}

    return Harness(
        ParallelClusterProvisioner(Stacks(aws), pcluster),
        AwsAccount(aws),
        shipped_preset("default")["network.yaml"].decode(),
        lambda: time.sleep(0.2),
        lambda stack: formation.create_stack(StackName=stack, TemplateBody=foreign),
        kept,
        files,
        lambda stack, reason: cloud.order(fails={stack: reason}),
    )


@pytest.fixture(params=["memory", pytest.param("parallelcluster", marks=pytest.mark.xdist_group("pcluster"))])
def there(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    """An adapter and its cloud, which contains only a key pair and a bucket."""
    if request.param == "memory":
        yield memory_harness()
        return
    cloud: Cloud = request.getfixturevalue("cloud")
    for name, value in cloud.environ.items():
        monkeypatch.setenv(name, value)
    yield real_harness(cloud)


@pytest.fixture(
    params=[
        "memory",
        pytest.param("parallelcluster", marks=[pytest.mark.real, pytest.mark.xdist_group("pcluster")]),
    ]
)
def with_nodes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """The same harness where nodes can be created, too; this needs the real command."""
    if request.param == "memory":
        return memory_harness()
    cloud: Cloud = request.getfixturevalue("cloud")
    request.getfixturevalue("pcluster")
    for name, value in cloud.environ.items():
        monkeypatch.setenv(name, value)
    return real_harness(cloud)


class TestNetwork:
    def test_its_life(self, there: Harness) -> None:
        """Create it twice to get one, find it with its outputs, and delete it twice for good."""
        provisioner = there.provisioner
        assert not provisioner.find("c").exists
        assert provisioner.clusters() == ()

        for _ in range(2):
            provisioner.create_network("c", there.network, PARAMETERS)
        made = provisioner.find("c").network
        assert made is not None
        assert made.state is StackState.CREATING
        assert provisioner.last_event("c", Part.NETWORK)

        complete = there.settled().network
        assert complete is not None
        assert complete.state is StackState.COMPLETE
        assert {"VpcId", "HeadNodeSubnetId", "ComputeSubnetId"} <= set(complete.outputs)
        assert complete.parameters["Zone"] == f"{REGION}a"
        assert [cluster.name for cluster in provisioner.clusters()] == ["c"]

        for _ in range(2):
            provisioner.delete("c", Part.NETWORK)
        assert provisioner.find("c").state == "DELETING"
        assert not there.settled().exists
        assert provisioner.clusters() == ()
        provisioner.delete("c", Part.NETWORK)

    def test_what_failed_is_told(self, there: Harness) -> None:
        there.fail("c-vpc", "The maximum number of VPCs has been reached.")

        network = there.with_network().network

        assert network is not None
        assert network.state is StackState.FAILED
        [failure] = there.provisioner.failures("c", Part.NETWORK)
        assert "The maximum number of VPCs has been reached." in failure

    def test_what_opens_the_job_bucket_comes_with_it(self, there: Harness) -> None:
        there.provisioner.create_network("c", there.network, {**PARAMETERS, "StoreBucket": JOBS})
        network = there.settled().network

        assert network is not None
        assert ":policy/cloudq/c/" in network.outputs["StorePolicyArn"]
        assert "SecretPolicyArn" not in network.outputs

    @pytest.mark.parametrize("part", Part)
    def test_a_foreign_stack_is_neither_used_nor_removed(self, there: Harness, part: Part) -> None:
        there.put_foreign(part.stack_of("c"))

        with pytest.raises(NameTaken, match=part.stack_of("c")):
            there.provisioner.find("c")
        with pytest.raises(NameTaken):
            there.provisioner.delete("c", part)
        assert there.provisioner.clusters() == ()

    def test_a_template_that_makes_nothing_is_refused(self, there: Harness) -> None:
        with pytest.raises((ConfigurationRejected, CloudRefused)):
            there.provisioner.create_network("c", "Parameters: {}\n", {})

        assert not there.provisioner.find("c").exists


class TestNodes:
    def test_their_life(self, with_nodes: Harness) -> None:
        provisioner = with_nodes.provisioner
        configuration = with_nodes.configuration(with_nodes.with_network())

        for _ in range(2):
            provisioner.create_nodes("c", configuration)
        assert provisioner.find("c").state in {"CREATING", "COMPLETED"}
        assert with_nodes.settled().state == "COMPLETED"
        assert provisioner.failures("c", Part.NODES) == ()

        for _ in range(2):
            provisioner.delete("c", Part.NODES)
        assert with_nodes.settled().nodes is None
        provisioner.delete("c", Part.NODES)

    def test_a_configuration_that_cannot_be_used_makes_nothing(self, with_nodes: Harness) -> None:
        with_nodes.with_network()
        broken = json.dumps({"Image": {"Os": "alinux2023"}})

        for ask in (
            lambda: with_nodes.provisioner.check_nodes("c", broken, deeply=False),
            lambda: with_nodes.provisioner.create_nodes("c", broken),
        ):
            with pytest.raises(ConfigurationRejected, match="HeadNode"):
                ask()
        assert with_nodes.provisioner.find("c").nodes is None

    def test_what_failed_is_told(self, with_nodes: Harness) -> None:
        configuration = with_nodes.configuration(with_nodes.with_network())
        with_nodes.fail("c-nodes", "We currently do not have sufficient capacity.")

        with_nodes.provisioner.create_nodes("c", configuration)

        assert with_nodes.settled().state == "FAILED"
        told = with_nodes.provisioner.failures("c", Part.NODES)
        assert any("sufficient capacity" in each for each in told)
        assert not any("cancelled" in each for each in told)


class TestAccount:
    def test_tells_whose_it_is(self, there: Harness) -> None:
        assert there.account.identity() == Identity(ACCOUNT, REGION)

    def test_tells_key_pairs(self, there: Harness) -> None:
        assert there.account.has_keypair(KEYPAIR)
        assert not there.account.has_keypair("nope")

    def test_tells_which_zones_have_which_instance_types(self, there: Harness) -> None:
        offered = there.account.offers(("t3.medium", "c5.large"))

        assert offered[f"{REGION}a"] == {"t3.medium", "c5.large"}

    def test_tells_where_its_own_buckets_are(self, there: Harness) -> None:
        assert there.account.own_bucket_region(JOBS) == REGION

    def test_keeps_keys_in_a_secret_once_and_forgets_them(self, there: Harness) -> None:
        arns = {there.account.keep_secret("c", "jobs") for _ in range(2)}

        [arn] = arns
        assert arn.startswith(f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:cloudq/c/store-")
        [(name, kept)] = there.secrets().items()
        assert name == "cloudq/c/store"
        assert all(part in kept for part in STORE_KEY)

        for _ in range(2):
            there.account.forget("c")
        assert there.secrets() == {}

    def test_a_profile_that_there_is_not_keeps_nothing(self, there: Harness) -> None:
        with pytest.raises((ConfigProblem, InvalidInput), match="nope"):
            there.account.keep_secret("c", "nope")
        with pytest.raises(InvalidInput, match="nope"):
            there.account.look_at_bucket(JobBucket(JOBS, profile="nope"))

    def test_places_files_for_one_cluster_and_forgets_those_alone(self, there: Harness) -> None:
        place = there.account.place_files("c", {"a.sh": b"1"})
        there.account.place_files("c", {"a.sh": b"2"})
        there.account.place_files("c-2", {"a.sh": b"3"})

        assert place == there.account.setup_place("c")
        assert place.url("a.sh") == f"s3://cloudq-setup-{ACCOUNT}-{REGION}/clusters/c/a.sh"
        there.account.forget("c")
        assert there.files() == {"clusters/c-2/a.sh": b"3"}

    def test_nothing_is_left_of_what_never_was(self, there: Harness) -> None:
        assert there.account.leftovers("c") == ()
