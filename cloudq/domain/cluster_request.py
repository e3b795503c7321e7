"""What a user asks for with a cluster, and what follows from it without asking the cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from attrs import frozen

from cloudq.domain.errors import InvalidInput

_AMAZON = (".amazonaws.com", ".amazonaws.com.cn")


@frozen
class JobBucket:
    """The bucket through which the cluster gets its jobs."""

    bucket: str
    endpoint_url: str = ""
    """Empty for Amazon's own service."""
    profile: str = ""
    """Of ``~/.aws/credentials``, with the keys to it; empty: the builder's own."""
    prefix: str = ""
    region: str = ""

    @property
    def is_amazons(self) -> bool:
        """Whether the bucket is in Amazon S3, so that a role can give the right to use it."""
        host = urlsplit(self.endpoint_url).hostname or ""
        return not self.endpoint_url or host.endswith(_AMAZON)


@frozen
class ClusterRequest:
    """A cluster to be made."""

    name: str
    keypair: str
    store: JobBucket
    preset: str = "default"
    zone: str = ""
    """Empty: any that has the instance types."""


def chosen_zone(asked: str, types: Sequence[str], offered: Mapping[str, frozenset[str]]) -> str:
    """The zone to build in: *asked*, or the first one with every instance type of *types*.

    *offered* says which types each zone of the region has. Raises `InvalidInput` that tells where
    they would be found.
    """
    fitting = sorted(zone for zone, found in offered.items() if found.issuperset(types))
    if asked in fitting:
        return asked
    if not asked and fitting:
        return fitting[0]
    if not fitting:
        raise InvalidInput(_nowhere(types, offered))
    if asked not in offered:
        raise InvalidInput(
            f"zone {asked!r} is none of this region that can be used: {', '.join(sorted(offered))}"
        )
    missing = ", ".join(kind for kind in types if kind not in offered[asked])
    raise InvalidInput(f"zone {asked} does not have {missing}; {', '.join(fitting)} would do")


def _nowhere(types: Sequence[str], offered: Mapping[str, frozenset[str]]) -> list[str]:
    """Why no zone fits, one instance type a line."""
    rare = [kind for kind in types if not any(kind in found for found in offered.values())]
    if rare:
        return [
            f"instance type {kind}: no zone of this region has it; change it in the preset" for kind in rare
        ]
    lines = []
    for kind in types:
        zones = ", ".join(sorted(zone for zone, found in offered.items() if kind in found))
        lines.append(f"instance type {kind}: only in {zones}; no zone has all that the preset names")
    return lines
