"""Explain why a cluster could not be made or removed, and what to do about it."""

from __future__ import annotations

from cloudq.domain.clusters.cluster import Part
from cloudq.ports.cluster_provisioner import ClusterProvisioner

_NEXT = {
    "made": (
        "What was made is being taken back by AWS, or is still there and costs. 'cloudqaws create' with the "
        "same options removes what failed and makes it anew; 'cloudqaws delete --name {name}' removes all."
    ),
    "removed": (
        "What is left is still there and may cost: remove what the events name, then run "
        "'cloudqaws delete --name {name}' again."
    ),
}

_HINTS = (
    (
        ("LimitExceeded", "limit exceeded", "maximum number of", "quota", "MaxSpotInstanceCountExceeded"),
        "That is a quota of your account: free some, or ask for more in the console under Service Quotas.",
    ),
    (
        ("InsufficientInstanceCapacity", "insufficient capacity"),
        "The zone has no such instance to spare now: try later, or delete the cluster and name another zone.",
    ),
    (
        ("AccessDenied", "not authorized", "UnauthorizedOperation"),
        "You may not do that: docs/aws.md names the policy that is needed.",
    ),
    (
        ("has dependencies", "DependencyViolation", "in use"),
        "Something that cloudq did not make is in the network: remove it first.",
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
