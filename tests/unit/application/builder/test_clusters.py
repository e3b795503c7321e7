"""Create, list and delete clusters, with interruptions, failures and other commands on the same cluster."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from cloudq.domain.clusters.cluster import Part
from cloudq.domain.clusters.preset import FILES
from cloudq.domain.clusters.request import JobBucket
from cloudq.domain.errors import (
    CloudUnavailable,
    ClusterConflict,
    ClusterFailed,
    ClusterNotCreated,
    ConfigProblem,
    ConfigurationRejected,
    InvalidInput,
    NameTaken,
    WaitTimedOut,
)
from tests.parts.builder import FOREIGN_BUCKET, World, foreign_store, write_preset

CREATION = [
    "The stack (c-vpc) is creating. Please wait a minute.",
    "The stack (c-nodes) is creating. Please wait a minute.",
]
DELETION = [
    "The stack (c-nodes) is deleting. Please wait a minute.",
    "The stack (c-vpc) is deleting. Please wait a minute.",
    "AWS compute cluster (c) has been deleted.",
]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@define
class Watched:
    """A cloud that runs an action, such as raising an error, before or after its nth call."""

    cloud: Any
    act: Callable[[str], None]
    at: int
    after: bool = False
    calls: int = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.cloud, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            due = self.calls == self.at
            if due and not self.after:
                self.act(name)
            result = real(*args, **kwargs)
            if due and self.after:
                self.act(name)
            return result

        return call


@pytest.mark.parametrize(
    ("cidr", "words"),
    [
        ("203.0.113.7/24", "has host bits set"),
        ("my house", "Expected 4 octets"),
        ("::1/128", "Expected 4 octets"),
    ],
)
def test_addresses_that_are_none_are_named_before_anything_is_made(
    world: World, cidr: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        world.create(allowed_cidr=cidr)

    assert world.state() == ""


@pytest.mark.parametrize(
    "boundary", ["my-boundary", "arn:aws:iam::123:policy/x", "arn:aws:iam::123456789012:role/x"]
)
def test_a_boundary_that_is_no_policy_is_named(world: World, boundary: str) -> None:
    with pytest.raises(InvalidInput, match="not the ARN of a policy"):
        world.create(permissions_boundary=boundary)


@pytest.mark.parametrize(("given", "allowed"), [("", "10.0.0.0/16"), ("203.0.113.7/32", "203.0.113.7/32")])
def test_only_named_addresses_may_log_in(world: World, given: str, allowed: str) -> None:
    world.create(allowed_cidr=given)

    assert f"AllowedIps: {allowed}" in world.cloud.configurations["c"]


def test_a_plan_holds_the_policies_for_the_boundary(world: World) -> None:
    boundary = "arn:aws:iam::123456789012:policy/mine"
    plan = world.builder().create.plan(
        world.request(permissions_boundary=boundary, allowed_cidr="pl-0123456789abcdef0")
    )

    assert boundary in plan["iam-policy.json"]
    assert "iam:PassRole" in plan["iam-boundary.json"]


def test_a_cluster_is_not_sent_its_jobs_by_plain_http(world: World) -> None:
    with pytest.raises(InvalidInput, match="uses only https://"):
        world.create(store=JobBucket(FOREIGN_BUCKET, "http://s3.example.com", "abci"))

    assert world.state() == ""


def interrupt(_: str) -> None:
    raise KeyboardInterrupt


class TestLife:
    def test_a_cluster_is_made_listed_and_removed(self, world: World) -> None:
        assert world.create().state == "COMPLETED"
        assert world.state() == "COMPLETED"
        assert world.said == CREATION

        world.said.clear()
        world.delete()

        assert world.said == DELETION
        assert world.state() == ""

    def test_what_is_made_again_when_complete_is_left_alone(self, world: World) -> None:
        world.create()
        world.create()

        assert world.cloud.made == ["c-vpc", "c-nodes"]
        assert world.noted == ["c is already complete; nothing was changed"]

    def test_what_is_removed_again_is_no_error(self, world: World) -> None:
        world.create()
        world.delete()
        world.said.clear()

        assert not world.delete().exists
        assert world.said == []
        assert world.noted == ["There is no cluster (c) in ap-northeast-1 of account 123456789012."]

    def test_the_configuration_names_what_is_there(self, world: World) -> None:
        world.create(store=JobBucket("my-jobs", prefix="p/"))

        assert world.cloud.configurations["c"] == (
            "HeadNode:\n  InstanceType: t3.medium\n  Subnet: subnet-1\n"
            "  Ssh:\n    AllowedIps: 10.0.0.0/16\n  KeyName: my-key\n  Args:\n"
            "  - --wheel=s3://cloudq-setup-123456789012-ap-northeast-1/clusters/c/cloudq-1-py3-none-any.whl\n"
            "  - --bucket=my-jobs\n  - --region=ap-northeast-1\n  Policies:\n"
            "  - Policy: arn:aws:iam::123456789012:policy/cloudq/c/StorePolicyArn\n"
            "Tags:\n- Key: cloudq:cluster\n  Value: c\n"
        )

    def test_keys_are_in_the_secret_and_nowhere_else(self, world: World) -> None:
        world.create(store=foreign_store())
        network = world.cloud.find("c").network

        assert network is not None
        assert world.cloud.secrets == {"cloudq/c/store": '"key-of-abci"'}
        assert "secret:cloudq/c/store" in world.cloud.configurations["c"]
        assert "SecretPolicyArn" in world.cloud.configurations["c"]
        assert "StoreBucket" not in network.parameters
        everything = (*world.cloud.configurations.values(), *world.said, *world.noted, str(network))
        assert "key-of-abci" not in "".join(everything)

        world.delete()

        assert world.cloud.secrets == {}
        assert world.cloud.files == {}

    def test_without_waiting_creation_returns_when_the_nodes_are_under_way(self, world: World) -> None:
        assert world.create(wait=False).state == "CREATING"
        assert world.said == CREATION
        assert world.create().state == "COMPLETED"
        assert world.cloud.made == ["c-vpc", "c-nodes"]

    def test_without_waiting_removal_returns_at_once_and_goes_on_later(self, world: World) -> None:
        world.create()

        assert world.delete(wait=False).exists
        assert world.state() == "DELETING"
        world.delete()
        assert world.state() == ""

    def test_who_waits_is_told_what_happens(self, world: World) -> None:
        world.create()

        assert "c-nodes: c-nodes CREATING" in world.progress

    def test_a_dry_run_makes_nothing_and_shows_every_file(self, world: World) -> None:
        plan = world.builder().create.plan(world.request())

        assert set(plan) == {*FILES, "iam-policy.json", "iam-boundary.json"}
        assert "KeyName: my-key" in plan["cluster.yaml"]
        assert world.cloud.made == []
        assert world.cloud.files == world.cloud.secrets == {}


class TestInterruptions:
    @pytest.mark.parametrize("after", [False, True])
    @pytest.mark.parametrize("store", [None, foreign_store()])
    def test_interrupted_anywhere_and_run_again_it_ends_the_same(
        self, tmp_path: Path, store: JobBucket | None, after: bool
    ) -> None:
        """Interrupted before or after any call to the cloud; nothing is created twice."""
        for at in range(1, 100):
            world = World(tmp_path / str(at))
            request = world.request(**({"store": store} if store else {}))
            watched = Watched(world.cloud, interrupt, at, after)
            try:
                world.builder(watched).create(request)
            except KeyboardInterrupt:
                assert world.create(**({"store": store} if store else {})).state == "COMPLETED"
            assert world.cloud.made == ["c-vpc", "c-nodes"], at
            if watched.calls < at:
                break
            self._removal_interrupted(world, at, after)
        else:
            raise AssertionError("every call was interrupted, and more came")

    def _removal_interrupted(self, world: World, at: int, after: bool) -> None:
        watched = Watched(world.cloud, interrupt, at, after)
        try:
            world.builder(watched).delete("c")
        except KeyboardInterrupt:
            world.delete()
        assert world.state() == ""
        assert world.cloud.files == world.cloud.secrets == {}

    def test_a_half_made_cluster_is_removed(self, tmp_path: Path) -> None:
        for at in range(1, 100):
            world = World(tmp_path / str(at))
            watched = Watched(world.cloud, interrupt, at, after=True)
            with suppress(KeyboardInterrupt):
                world.builder(watched).create(world.request(store=foreign_store()))
            world.delete()
            assert world.state() == ""
            assert world.cloud.files == world.cloud.secrets == {}
            if watched.calls < at:
                return

    def test_a_cloud_out_of_reach_for_minutes_is_asked_again(self, world: World) -> None:
        def lost(_: str) -> None:
            raise CloudUnavailable("no network")

        for at in range(8, 20):  # the calls before the first wait are not repeated
            fresh = World(world.home / str(at))
            watched = Watched(fresh.cloud, lambda name: lost(name) if name == "find" else None, at)

            assert fresh.builder(watched).create(fresh.request()).state == "COMPLETED"

    def test_a_cloud_out_of_reach_for_long_is_told(self, world: World) -> None:
        world.create(wait=False)

        class Gone:
            def __getattr__(self, name: str) -> Any:
                if name == "find" and world.clock.seconds > 100:
                    raise CloudUnavailable("no network")
                return getattr(world.cloud, name)

        world.cloud.creation_s = 10_000
        with pytest.raises(CloudUnavailable, match="no network"):
            world.builder(Gone()).delete("c")

    def test_a_stack_that_never_ends_is_not_waited_for_forever(self, world: World) -> None:
        world.cloud.creation_s = 1e9
        with pytest.raises(WaitTimedOut, match="c-vpc"):
            world.create()


class TestFailures:
    def test_a_failure_shows_what_the_cloud_said_and_the_next_step(self, world: World) -> None:
        world.cloud.fails["c-vpc"] = (
            "Vpc (AWS::EC2::VPC): The maximum number of VPCs has been reached. (VpcLimitExceeded)"
        )

        with pytest.raises(ClusterNotCreated) as told:
            world.create()

        lines = str(told.value).splitlines()
        assert lines[0] == "The stack (c-vpc) could not be made."
        assert lines[1] == f"  {world.cloud.fails['c-vpc']}"
        assert "quota of your account" in lines[2]
        assert "cost money" in lines[3]
        assert world.state() == "FAILED"

    @pytest.mark.parametrize("stack", ["c-vpc", "c-nodes"])
    def test_what_failed_is_made_anew_by_the_same_command(self, world: World, stack: str) -> None:
        world.cloud.fails[stack] = "bad luck"
        with pytest.raises(ClusterFailed, match="bad luck"):
            world.create()
        world.cloud.fails.clear()

        assert world.create().state == "COMPLETED"
        assert world.cloud.made.count(stack) == 2
        assert len(world.cloud.made) == 3
        assert world.noted == [f"The stack ({stack}) has failed; it is removed and created again."]

    def test_a_removal_that_fails_is_told_and_can_be_repeated(self, world: World) -> None:
        world.create()
        world.cloud.fails["c-vpc"] = "The vpc 'vpc-1' has dependencies and cannot be deleted."

        with pytest.raises(ClusterFailed, match="something that cloudq did not create"):
            world.delete()
        assert world.state() == "FAILED"

        world.cloud.fails.clear()
        world.delete()
        assert world.state() == ""


class TestOthersAtWork:
    def test_two_creations_at_once_make_one_cluster(self, tmp_path: Path) -> None:
        """Another command does all it can between any two calls of this one."""
        for at in range(1, 100):
            world = World(tmp_path / str(at))
            watched = Watched(world.cloud, lambda _, w=world: w.create(wait=False), at)  # type: ignore[misc]

            assert world.builder(watched).create(world.request()).state == "COMPLETED"
            assert world.cloud.made == ["c-vpc", "c-nodes"]
            if watched.calls < at:
                return

    def test_a_removal_during_a_creation_ends_both_in_words(self, tmp_path: Path) -> None:
        """No incomplete cluster is ever reported as complete, and a repeated removal removes everything."""
        for at in range(1, 100):
            world = World(tmp_path / str(at))
            watched = Watched(world.cloud, lambda _, w=world: w.delete(), at)  # type: ignore[misc]
            try:
                made = world.builder(watched).create(world.request())
                assert made.state == world.state() == "COMPLETED"
            except ClusterConflict:
                assert world.state() != "COMPLETED"
            world.delete()
            assert world.state() == ""
            if watched.calls < at:
                return

    def test_a_creation_during_a_removal_ends_both_in_words(self, tmp_path: Path) -> None:
        for at in range(1, 100):
            world = World(tmp_path / str(at))
            world.create()

            def create(_: str, world: World = world) -> None:
                world.builder().create(world.request(), wait=False)

            watched = Watched(world.cloud, create, at)
            with suppress(ClusterConflict, ClusterFailed):
                world.builder(watched).delete("c")
            world.delete()
            assert world.state() == ""
            if watched.calls < at:
                return

    def test_a_creation_waits_for_a_removal_that_goes_on(self, world: World) -> None:
        world.create()
        world.delete(wait=False)
        world.said.clear()

        assert world.create().state == "COMPLETED"
        assert world.said == [DELETION[0], CREATION[1]]

    @pytest.mark.parametrize("stack", ["c-vpc", "c-nodes"])
    def test_a_foreign_stack_of_the_name_is_not_touched(self, world: World, stack: str) -> None:
        world.cloud.put_foreign(stack)

        for command in (world.create, world.delete):
            with pytest.raises(NameTaken, match=stack):
                command()
        assert world.cloud.made == []
        assert world.builder().list() == ()

    def test_parts_that_do_not_fit_together_are_refused(self, world: World) -> None:
        world.create()
        world.cloud.delete("c", Part.NETWORK)
        world.clock.pass_by(1_000)

        with pytest.raises(ClusterConflict, match="do not fit together"):
            world.create()
        world.delete()
        assert world.state() == ""


class TestBadInput:
    def test_everything_wrong_is_told_at_once_and_nothing_is_made(self, world: World) -> None:
        write_preset(world.home / "presets/broken", cluster="a: [", head_node=None)

        with pytest.raises(InvalidInput) as told:
            world.create(keypair="nope", preset="broken", store=foreign_store("unknown"))

        problems = told.value.problems
        assert [
            word
            for word in ("'nope'", "head-node.sh: is missing", "'unknown'")
            if not any(word in each for each in problems)
        ] == []
        assert world.cloud.made == []

    @pytest.mark.parametrize("name", ["My-Cluster", "my_cluster", "x" * 61])
    def test_a_bad_name_is_refused_by_every_command(self, world: World, name: str) -> None:
        for command in (world.create, world.delete):
            with pytest.raises(InvalidInput, match="not a valid cluster name"):
                command(name)

    def test_a_zone_without_the_instance_type(self, world: World) -> None:
        world.cloud.zones = {"ap-northeast-1a": set(), "ap-northeast-1c": None}

        with pytest.raises(
            InvalidInput, match=r"ap-northeast-1a does not have t3\.medium; choose one of ap-northeast-1c"
        ):
            world.create(zone="ap-northeast-1a")
        world.create()

        network = world.cloud.find("c").network
        assert network is not None
        assert network.parameters["Zone"] == "ap-northeast-1c"

    def test_a_cluster_stays_in_the_zone_and_with_the_bucket_that_it_began_with(self, world: World) -> None:
        world.cloud.buckets["other"] = "ap-northeast-1"
        world.cloud.fails["c-nodes"] = "bad luck"
        with pytest.raises(ClusterFailed):
            world.create(zone="ap-northeast-1c")

        with pytest.raises(InvalidInput, match="is already in ap-northeast-1c"):
            world.create(zone="ap-northeast-1a")
        with pytest.raises(InvalidInput, match="was created for bucket my-jobs"):
            world.create(store=JobBucket("other"))

        world.cloud.fails.clear()
        assert world.create().state == "COMPLETED"

    def test_a_bucket_in_another_region_works_and_its_price_is_told(self, world: World) -> None:
        world.cloud.buckets["my-jobs"] = "eu-west-1"

        world.create()

        assert "every transfer between them costs" in world.noted[0]
        assert "--region=eu-west-1" in world.cloud.configurations["c"]

    def test_a_foreign_bucket_without_keys(self, world: World) -> None:
        with pytest.raises(InvalidInput, match="name the profile in ~/"):
            world.create(store=JobBucket(FOREIGN_BUCKET))

    def test_a_bucket_that_cannot_be_seen_from_here_is_left_to_the_head_node(self, world: World) -> None:
        def unreachable(name: str) -> None:
            if name == "look_at_bucket":
                raise CloudUnavailable("no route")

        for at in range(1, 8):
            fresh = World(world.home / str(at))
            watched = Watched(fresh.cloud, unreachable, at)
            fresh.builder(watched).create(fresh.request(store=foreign_store()), wait=False)
            if fresh.noted:
                assert "the head node will try: no route" in fresh.noted[0]
                return
        raise AssertionError("the bucket was never looked at")

    def test_a_configuration_that_parallelcluster_refuses_costs_nothing(self, world: World) -> None:
        write_preset(world.home / "presets/tiny", cluster="Nodes: {InstanceType: t3.medium}\n")

        with pytest.raises(ConfigurationRejected, match="HeadNode is missing"):
            world.create()
        assert world.cloud.made == []

    def test_an_unknown_preset_is_told_with_those_that_there_are(self, world: World) -> None:
        with pytest.raises(ConfigProblem, match="default"):
            world.builder().create.presets.load("nope")
