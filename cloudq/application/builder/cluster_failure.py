"""Explain why a cluster could not be made or removed, and what to do about it."""

from __future__ import annotations

from cloudq.domain.clusters.cluster import Part
from cloudq.ports.cluster_provisioner import ClusterProvisioner

_NEXT = {
    "made": (
        "AWS is removing the created resources, or they still exist and cost money. 'cloudqaws create' with "
        "the same options replaces what failed; 'cloudqaws delete --name {name}' removes everything."
    ),
    "removed": (
        "The remaining resources may cost money: remove those that the events name, then run "
        "'cloudqaws delete --name {name}' again."
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


def failure_text(provisioner: ClusterProvisioner, name: str, part: Part, what: str, reason: str) -> str:
    """Return a message with the cloud's own description of the failure and the next step.

    *what* is ``made`` or ``removed``.
    """
    events = provisioner.failures(name, part) or ((reason,) if reason else ())
    told = "\n".join(events).lower()
    hints = [hint for signs, hint in _HINTS if any(sign.lower() in told for sign in signs)]
    head = f"The stack ({part.stack_of(name)}) could not be {what}."
    return "\n".join([head, *(f"  {event}" for event in events), *hints, _NEXT[what].format(name=name)])
