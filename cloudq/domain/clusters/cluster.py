"""Clusters in a cloud: their names, their parts and their states.

A cluster is two stacks, the network and the nodes in it. The network is created first and deleted last, so
it exists as long as any part of the cluster exists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from attrs import field, frozen

from cloudq.domain.errors import InvalidInput

NETWORK_SUFFIX = "-vpc"
NODES_SUFFIX = "-nodes"

MAX_STACK_NAME = 60
"""ParallelCluster's limit, which is lower than CloudFormation's."""

MAX_NAME = MAX_STACK_NAME - len(NODES_SUFFIX)

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-+[a-z0-9]+)*-*")
_RULE = (
    f"use at most {MAX_NAME} lower-case letters, digits and hyphens, beginning with a letter "
    "(the stacks and the system get this name)"
)


class Part(StrEnum):
    """One of the two stacks of a cluster."""

    NETWORK = "network"
    NODES = "nodes"

    def stack_of(self, cluster: str) -> str:
        """Return the name of this stack of *cluster*."""
        return cluster + (NETWORK_SUFFIX if self is Part.NETWORK else NODES_SUFFIX)


class StackState(StrEnum):
    """The state of a stack."""

    CREATING = "CREATING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"
    DELETING = "DELETING"


class ClusterState(StrEnum):
    """The state of a cluster that users see."""

    CREATING = "CREATING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    DELETING = "DELETING"
    PARTIAL = "PARTIAL"
    """The network exists and costs money, but no nodes exist: a command was interrupted, or is running."""


@frozen
class Stack:
    """One stack as the cloud describes it."""

    name: str
    state: StackState
    created: datetime
    status: str = ""
    """The cloud's own name for the state."""
    reason: str = ""
    outputs: Mapping[str, str] = field(factory=lambda: MappingProxyType({}))
    parameters: Mapping[str, str] = field(factory=lambda: MappingProxyType({}))


@frozen
class Cluster:
    """The parts of a cluster that exist."""

    name: str
    network: Stack | None = None
    nodes: Stack | None = None

    @property
    def exists(self) -> bool:
        """Return whether any part of the cluster exists."""
        return self.network is not None or self.nodes is not None

    @property
    def state(self) -> ClusterState:
        """The state of the whole cluster."""
        states = {stack.state for stack in (self.network, self.nodes) if stack is not None}
        for worst, shown in _SHOWN.items():
            if worst in states:
                return shown
        return ClusterState.PARTIAL if self.nodes is None or self.network is None else ClusterState.COMPLETED

    @property
    def created(self) -> datetime | None:
        """The time at which the nodes were requested."""
        return None if self.nodes is None else self.nodes.created

    def part(self, part: Part) -> Stack | None:
        """Return one of the stacks, if it exists."""
        return self.network if part is Part.NETWORK else self.nodes


_SHOWN = {
    StackState.DELETING: ClusterState.DELETING,
    StackState.FAILED: ClusterState.FAILED,
    StackState.CREATING: ClusterState.CREATING,
}
"""The state of a cluster with a stack in this state; the first match counts."""


def checked_cluster_name(text: str) -> str:
    """Return *text* if it can name a cluster; otherwise raise `InvalidInput` that suggests a valid name."""
    if len(text) <= MAX_NAME and _NAME.fullmatch(text):
        return text
    close = _close_name(text)
    hint = f"; for example {close!r}" if close else ""
    raise InvalidInput(f"{_shown(text)} is not a valid cluster name: {_RULE}{hint}")


def cluster_of(stack: str) -> tuple[str, Part] | None:
    """Return the cluster and the part to which a stack with this name would belong; None if there is none."""
    for part in Part:
        suffix = part.stack_of("")
        if stack.endswith(suffix) and _NAME.fullmatch(stack.removesuffix(suffix)):
            return stack.removesuffix(suffix), part
    return None


def _close_name(text: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789")
    return plain[:MAX_NAME].strip("-")


def _shown(text: str) -> str:
    return repr(text) if len(text) <= MAX_NAME else f"{text[:20]!r}… ({len(text)} characters)"
