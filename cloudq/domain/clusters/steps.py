"""The next step for a cluster, decided only from what exists of it.

So a command that was interrupted, at any point, continues when it is run again, even on another machine.
"""

from __future__ import annotations

from enum import StrEnum

from cloudq.domain.clusters.cluster import Cluster, StackState


class Step(StrEnum):
    """The next step of a command."""

    MAKE_NETWORK = "make network"
    MAKE_NODES = "make nodes"
    DELETE_NODES = "delete nodes"
    DELETE_NETWORK = "delete network"
    WAIT_FOR_NETWORK = "wait for the network"
    WAIT_FOR_NODES = "wait for the nodes"
    DONE = "done"
    REFUSE = "refuse"
    """The parts do not fit together: someone removed one by other means."""


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
"""The step for each pair of states of network and nodes; any other pair is refused."""


def creation_step(cluster: Cluster) -> Step:
    """Return the step that brings *cluster* closer to completion."""
    return _CREATION.get((_state(cluster.network), _state(cluster.nodes)), Step.REFUSE)


def deletion_step(cluster: Cluster) -> Step:
    """Return the step that brings *cluster* closer to its removal: nodes before the network that they use."""
    if cluster.nodes is not None:
        return Step.WAIT_FOR_NODES if cluster.nodes.state is _DELETING else Step.DELETE_NODES
    if cluster.network is not None:
        return Step.WAIT_FOR_NETWORK if cluster.network.state is _DELETING else Step.DELETE_NETWORK
    return Step.DONE


def _state(stack: object) -> StackState | None:
    return getattr(stack, "state", None)
