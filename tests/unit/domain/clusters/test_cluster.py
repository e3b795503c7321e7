"""Names and states of clusters, and the next step for what exists."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.parallelcluster.stacks import STATES
from cloudq.domain.clusters.cluster import (
    MAX_NAME,
    Cluster,
    ClusterState,
    Part,
    Stack,
    StackState,
    checked_cluster_name,
    cluster_of,
)
from cloudq.domain.clusters.steps import Step, creation_step, deletion_step
from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import checked_system
from cloudq.testing.fake_clock import NOON

CREATING, COMPLETE = StackState.CREATING, StackState.COMPLETE
FAILED, DELETING = StackState.FAILED, StackState.DELETING


def cluster(network: StackState | None, nodes: StackState | None) -> Cluster:
    def stack(part: Part, state: StackState | None) -> Stack | None:
        return None if state is None else Stack(part.stack_of("c"), state, NOON)

    return Cluster("c", stack(Part.NETWORK, network), stack(Part.NODES, nodes))


class TestNames:
    @pytest.mark.parametrize(
        ("text", "would_do"),
        [
            ("My-Cluster", "my-cluster"),
            ("my_cluster", "my-cluster"),
            ("1st", "st"),
            ("a b", "a-b"),
            ("クラスタ-x", "x"),
            ("x" * 61, "x" * MAX_NAME),
            ("x" * (MAX_NAME + 1), "x" * MAX_NAME),
        ],
    )
    def test_what_cannot_be_a_name_is_refused_with_one_that_can(self, text: str, would_do: str) -> None:
        with pytest.raises(InvalidInput, match=f"for example {would_do!r}"):
            checked_cluster_name(text)

    @pytest.mark.parametrize("text", ["", "-", "12", "---"])
    def test_for_some_there_is_none_to_propose(self, text: str) -> None:
        with pytest.raises(InvalidInput, match="is not a valid cluster name") as told:
            checked_cluster_name(text)

        assert "for example" not in str(told.value)

    def test_the_longest_name_makes_the_longest_name_that_parallelcluster_takes(self) -> None:
        assert len(Part.NODES.stack_of(checked_cluster_name("x" * MAX_NAME))) == 60

    def test_a_long_name_is_not_repeated_in_full(self) -> None:
        with pytest.raises(InvalidInput, match=r"'xxxxxxxxxxxxxxxxxxxx'… \(61 characters\)"):
            checked_cluster_name("x" * 61)

    @given(st.from_regex(r"[a-z][a-z0-9-]{0,53}", fullmatch=True))
    def test_a_cluster_s_name_is_a_system_s_too_and_found_again_in_its_stacks(self, name: str) -> None:
        assert checked_system(checked_cluster_name(name)) == name
        for part in Part:
            assert cluster_of(part.stack_of(name)) == (name, part)

    @pytest.mark.parametrize("stack", ["c", "c-vpcs", "-vpc", "C-vpc", "c_1-nodes"])
    def test_other_stacks_are_no_cluster_s(self, stack: str) -> None:
        assert cluster_of(stack) is None


class TestStates:
    @pytest.mark.parametrize(
        ("network", "nodes", "shown"),
        [
            (CREATING, None, "CREATING"),
            (COMPLETE, None, "PARTIAL"),
            (COMPLETE, CREATING, "CREATING"),
            (COMPLETE, COMPLETE, "COMPLETED"),
            (COMPLETE, FAILED, "FAILED"),
            (FAILED, None, "FAILED"),
            (COMPLETE, DELETING, "DELETING"),
            (DELETING, None, "DELETING"),
            (None, COMPLETE, "PARTIAL"),
        ],
    )
    def test_the_state_of_the_whole(
        self, network: StackState | None, nodes: StackState | None, shown: str
    ) -> None:
        assert cluster(network, nodes).state is ClusterState(shown)

    def test_every_state_of_cloudformation_means_something(self) -> None:
        import boto3

        model = boto3.Session(region_name="us-east-1").client("cloudformation").meta.service_model

        assert set(STATES) == set(model.shape_for("StackStatus").enum)


class TestSteps:
    @pytest.mark.parametrize("pair", list(itertools.product((None, *StackState), repeat=2)), ids=str)
    def test_each_pair_of_states_leads_somewhere(
        self, pair: tuple[StackState | None, StackState | None]
    ) -> None:
        """A sequence of steps ends, whatever the initial states were."""
        for next_step, end in ((creation_step, {Step.DONE, Step.REFUSE}), (deletion_step, {Step.DONE})):
            there = pair
            for _ in range(9):
                step = next_step(cluster(*there))
                if step in end:
                    break
                there = _after(step, there)
            else:
                raise AssertionError(f"{pair} never ends")

    def test_nodes_are_never_made_without_a_complete_network(self) -> None:
        for network in (None, CREATING, FAILED, DELETING):
            assert creation_step(cluster(network, None)) is not Step.MAKE_NODES

    def test_a_network_is_never_removed_while_there_are_nodes(self) -> None:
        for network, nodes in itertools.product((None, *StackState), StackState):
            assert deletion_step(cluster(network, nodes)) is not Step.DELETE_NETWORK
            assert creation_step(cluster(network, nodes)) is not Step.DELETE_NETWORK


def _after(
    step: Step, there: tuple[StackState | None, StackState | None]
) -> tuple[StackState | None, StackState | None]:
    """Return the states after a step in a cloud without failures."""
    network, nodes = there
    settled = {CREATING: COMPLETE, DELETING: None}
    done: dict[Step, tuple[StackState | None, StackState | None]] = {
        Step.MAKE_NETWORK: (CREATING, nodes),
        Step.MAKE_NODES: (network, CREATING),
        Step.DELETE_NETWORK: (DELETING, nodes),
        Step.DELETE_NODES: (network, DELETING),
    }
    if step in done:
        return done[step]
    return (
        (settled.get(network, network), nodes)  # type: ignore[arg-type]
        if step is Step.WAIT_FOR_NETWORK
        else (network, settled.get(nodes, nodes))  # type: ignore[arg-type]
    )
