"""Explain why a cluster could not be made or removed, and what to do about it."""

from __future__ import annotations

from cloudq.domain.clusters.cluster import Part
from cloudq.domain.errors import ClusterFailed, ClusterNotCreated, ClusterNotDeleted
from cloudq.ports.cluster_provisioner import ClusterProvisioner

_NEXT: dict[type[ClusterFailed], tuple[str, str]] = {
    ClusterNotCreated: (
        "made",
        "AWS is removing the created resources, or they still exist and cost money.",
    ),
    ClusterNotDeleted: (
        "removed",
        "The remaining resources may cost money: remove those that the events name.",
    ),
}

_HINTS = (
    (
        ("LimitExceeded", "limit exceeded", "maximum number of", "quota", "MaxSpotInstanceCountExceeded"),
        "A quota of your account is exhausted: release resources, or ask for more under Service Quotas.",
    ),
    (
        ("InsufficientInstanceCapacity", "insufficient capacity"),
        "The zone has no such instance free now: try later, or delete the cluster and name another zone.",
    ),
    (
        ("AccessDenied", "not authorized", "UnauthorizedOperation"),
        "You lack the permission: docs/aws.md names the policy that you need.",
    ),
    (
        ("has dependencies", "DependencyViolation", "in use"),
        "The network contains something that cloudq did not create: remove it first.",
    ),
)
"""Pairs of strings to look for in the events, and the hint for them."""


def cluster_failure(
    kind: type[ClusterFailed], provisioner: ClusterProvisioner, name: str, part: Part, reason: str
) -> ClusterFailed:
    """Return an error of this *kind* with the cloud's own description of the failure and the next step."""
    events = provisioner.failures(name, part) or ((reason,) if reason else ())
    text = "\n".join(events).lower()
    hints = [hint for signs, hint in _HINTS if any(sign.lower() in text for sign in signs)]
    what, next_step = _NEXT[kind]
    head = f"The stack ({part.stack_of(name)}) could not be {what}."
    return kind(name, "\n".join([head, *(f"  {event}" for event in events), *hints, next_step]))
