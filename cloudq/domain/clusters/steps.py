"""What to do next with a cluster, decided from what exists of it and from nothing else.

So a command that was interrupted, wherever that was, is taken up by running it again, on another
machine, too.
"""

from __future__ import annotations

from enum import StrEnum

from cloudq.domain.clusters.cluster import Cluster, StackState


class Step(StrEnum):
    """What a command does next."""

    MAKE_NETWORK = "make network"
    MAKE_NODES = "make nodes"
    DELETE_NODES = "delete nodes"
    DELETE_NETWORK = "delete network"
    WAIT_FOR_NETWORK = "wait for the network"
    WAIT_FOR_NODES = "wait for the nodes"
    DONE = "done"
    REFUSE = "refuse"
    """The parts do not fit together: somebody removed one by other means."""


_CREATING, _COMPLETE = StackState.CREATING, StackState.COMPLETE
_FAILED, _DELETING = StackState.FAILED, StackState.DELETING

_CREATION: dict[tuple[StackState | None, StackState | None], Step] = {
    (None, None): Step.MAKE_NETWORK,
    (_CREATING, None): Step.WAIT_FOR_NETWORK,
    (_COMPLETE, None): Step.MAKE_NODES,
    (_FAILED, None): Step.DELETE_NETWORK,
    (_DELETING, None): Step.WAIT_FOR_NETWORK,
    (_COMPLETE, _CREATING): Step.WAIT_FOR_NODES,
    (_COMPLETE, _COMPLETE): Step.DONE,
    (_COMPLETE, _FAILED): Step.DELETE_NODES,
    (_COMPLETE, _DELETING): Step.WAIT_FOR_NODES,
}
"""By the states of network and nodes; any other pair is refused."""


def creation_step(cluster: Cluster) -> Step:
    """What brings *cluster* nearer to being complete."""
    return _CREATION.get((_state(cluster.network), _state(cluster.nodes)), Step.REFUSE)


def deletion_step(cluster: Cluster) -> Step:
    """What brings *cluster* nearer to being gone: nodes first, for they live in the network."""
    if cluster.nodes is not None:
        return Step.WAIT_FOR_NODES if cluster.nodes.state is _DELETING else Step.DELETE_NODES
    if cluster.network is not None:
        return Step.WAIT_FOR_NETWORK if cluster.network.state is _DELETING else Step.DELETE_NETWORK
    return Step.DONE


def _state(stack: object) -> StackState | None:
    return getattr(stack, "state", None)
