"""Clusters as a table, as the original CloudQ prints it, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cloudq.domain.clusters.cluster import ClusterState
from cloudq.entrypoints.shared.terminal import printable

if TYPE_CHECKING:
    from cloudq.domain.clusters.cluster import Cluster, Stack

NAME_COLUMNS = 15
STATE_COLUMNS = 9
TIME_COLUMNS = 23


def cluster_lines(clusters: Sequence[Cluster]) -> Iterator[str]:
    """Yield header, rule and one line per cluster; only usable clusters have a time."""
    columns = max([NAME_COLUMNS, *(len(cluster.name) for cluster in clusters)])
    yield f"{'Cluster Name':<{columns}}  {'Status':<{STATE_COLUMNS}}  Creation Time"
    yield "-" * (columns + STATE_COLUMNS + TIME_COLUMNS + 4)
    for cluster in clusters:
        state = cluster.state
        time = _utc(cluster.created) if state is ClusterState.COMPLETED else ""
        yield f"{printable(cluster.name):<{columns}}  {state.value:<{STATE_COLUMNS}}  {time}".rstrip()


def cluster_record(cluster: Cluster) -> dict[str, Any]:
    """Return the record of a cluster with its stacks."""
    return {
        "name": cluster.name,
        "status": cluster.state.value if cluster.exists else "DELETED",
        "creation_time": _iso(cluster.created),
        "network": _stack_record(cluster.network),
        "nodes": _stack_record(cluster.nodes),
    }


def _stack_record(stack: Stack | None) -> dict[str, Any] | None:
    if stack is None:
        return None
    return {
        "stack": stack.name,
        "status": stack.status or stack.state.value,
        "reason": stack.reason,
        "creation_time": _iso(stack.created),
    }


def _utc(time: datetime | None) -> str:
    return "" if time is None else time.astimezone(UTC).strftime("%Y/%m/%d %H:%M:%S UTC")


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
