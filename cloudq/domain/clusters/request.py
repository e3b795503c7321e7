"""A user's request for a cluster, and the conclusions that need no request to the cloud."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from urllib.parse import urlsplit

from attrs import frozen

from cloudq.domain.errors import InvalidInput

_PREFIX_LIST = re.compile(r"pl-[0-9a-f]{8,17}")
_POLICY = re.compile(r"arn:aws[a-z-]*:iam::(?:[0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]{1,512}")
_AMAZON = (".amazonaws.com", ".amazonaws.com.cn")


@frozen
class JobBucket:
    """The bucket from which the cluster gets its jobs."""

    bucket: str
    endpoint_url: str = ""
    """The endpoint; empty for Amazon's own service."""
    profile: str = ""
    """The profile in ``~/.aws/credentials`` with the keys to the bucket; empty: the builder's own."""
    prefix: str = ""
    region: str = ""

    @property
    def is_amazons(self) -> bool:
        """Return whether the bucket is in Amazon S3, so that a role can grant access to it."""
        host = urlsplit(self.endpoint_url).hostname or ""
        return not self.endpoint_url or host.endswith(_AMAZON)


@frozen
class ClusterRequest:
    """A cluster to be created."""

    name: str
    keypair: str
    store: JobBucket
    preset: str = "default"
    zone: str = ""
    """The zone; empty: any zone that has the instance types."""
    allowed_cidr: str = ""
    """IPv4 addresses, or a prefix list, from which users may log in to the head node; empty: none."""
    permissions_boundary: str = ""
    """The ARN of a policy that limits the permissions of the machines' roles; empty: no limit."""


def problems_with_access(request: ClusterRequest) -> Iterator[str]:
    """Yield all problems of the addresses and the boundary that a user gave."""
    cidr, boundary = request.allowed_cidr, request.permissions_boundary
    if cidr and not _PREFIX_LIST.fullmatch(cidr):
        try:
            IPv4Network(cidr)
        except ValueError as error:
            yield (
                f"allowed_cidr {cidr!r}: {error}; write IPv4 addresses such as 203.0.113.7/32, "
                "or the id of a prefix list"
            )
    if boundary and not _POLICY.fullmatch(boundary):
        yield f"permissions_boundary {boundary!r}: not the ARN of a policy, arn:aws:iam::ACCOUNT:policy/NAME"


def chosen_zone(asked: str, types: Sequence[str], offered: Mapping[str, frozenset[str]]) -> str:
    """Return the zone to build in: *asked*, or the first one with every instance type of *types*.

    *offered* contains the types that each zone of the region has. Raises `InvalidInput` that names the
    zones where the types are available.
    """
    fitting = sorted(zone for zone, zone_types in offered.items() if zone_types.issuperset(types))
    if asked in fitting:
        return asked
    if not asked and fitting:
        return fitting[0]
    if not fitting:
        raise InvalidInput(_nowhere(types, offered))
    if asked not in offered:
        raise InvalidInput(
            f"zone {asked!r} cannot be used in this region (available: {', '.join(sorted(offered))})"
        )
    missing = ", ".join(kind for kind in types if kind not in offered[asked])
    raise InvalidInput(f"zone {asked} does not have {missing}; choose one of {', '.join(fitting)}")


def _nowhere(types: Sequence[str], offered: Mapping[str, frozenset[str]]) -> list[str]:
    """Return why no zone fits, with one line per instance type."""
    rare = [kind for kind in types if not any(kind in zone_types for zone_types in offered.values())]
    if rare:
        return [
            f"instance type {kind}: no zone of this region has it; change it in the preset" for kind in rare
        ]
    lines = []
    for kind in types:
        zones = ", ".join(sorted(zone for zone, zone_types in offered.items() if kind in zone_types))
        lines.append(f"instance type {kind}: only in {zones}; no zone has all instance types of the preset")
    return lines
