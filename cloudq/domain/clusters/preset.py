"""Presets of clusters: files with placeholders, and the values that replace them.

Placeholders are in values that were read from YAML, never in its text: an inserted value can change neither
the structure of a configuration nor another value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import field, frozen

from cloudq.domain.errors import InvalidInput

CLUSTER_TAG = "cloudq:cluster"
"""The tag that distinguishes cloudq's own stacks from others that happen to have such names."""

PLACEHOLDERS = (
    "region", "cluster_name", "keypair", "head_subnet", "compute_subnet", "setup_bucket", "setup_prefix",
    "head_node_script", "compute_node_script", "system", "store_endpoint", "store_bucket", "store_prefix",
    "store_region", "wheel", "secret", "secret_policy", "store_policy", "allowed_cidr",
    "permissions_boundary",
)  # fmt: skip

NETWORK_FILE = "network.yaml"
CONFIGURATION_FILE = "cluster.yaml"
HEAD_NODE_FILE = "head-node.sh"
COMPUTE_NODE_FILE = "compute-node.sh"
FILES = (NETWORK_FILE, CONFIGURATION_FILE, HEAD_NODE_FILE, COMPUTE_NODE_FILE)

NETWORK_PARAMETERS = ("ClusterName", "Zone")
"""The parameters of every network template, beside ``StoreBucket``, ``StorePrefix`` and ``SecretArn``."""

NETWORK_OUTPUTS = ("VpcId", "HeadNodeSubnetId", "ComputeSubnetId")
"""The outputs that every network has; it may also have ``StorePolicyArn`` and ``SecretPolicyArn``."""

PLANNED_SUBNET = "subnet-00000000000000000"
"""A stand-in for the subnets of a network that does not exist yet."""

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_OPTION = re.compile(r"--[a-z_-]+=")

_DROPPED = object()


@frozen
class Preset:
    """A checked preset."""

    name: str
    place: str
    network: str
    """The template of the network, as text."""
    parameters: frozenset[str]
    """The parameters that this template takes."""
    configuration: Mapping[str, Any]
    """The configuration of the cluster as it was read, with placeholders in its values."""
    scripts: Mapping[str, bytes] = field(repr=False)
    """The scripts of the nodes, by file name."""


def unknown_placeholders(data: object) -> list[str]:
    """Return the placeholders in *data* that cloudq does not define."""
    names = (name for text in _texts(data) for name in _PLACEHOLDER.findall(text))
    return list(dict.fromkeys(name for name in names if name not in PLACEHOLDERS))


def instance_types(configuration: object) -> tuple[str, ...]:
    """Return every instance type that a configuration names, once."""
    return tuple(dict.fromkeys(_values_of(configuration, "InstanceType")))


def fill(configuration: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Return *configuration* with *values* in place of the placeholders.

    An item of a list or a key of a section is removed if nothing is left of it: if it contains only an
    empty placeholder, or an option such as ``--secret=${secret}`` that has no value. Raises `InvalidInput`
    for a placeholder that is missing in *values*.
    """
    missing = sorted(
        {name for text in _texts(configuration) for name in _PLACEHOLDER.findall(text)} - set(values)
    )
    if missing:
        raise InvalidInput([f"{CONFIGURATION_FILE}: unknown placeholder ${{{name}}}" for name in missing])
    filled = _filled(configuration, values)
    return filled if isinstance(filled, dict) else {}


def with_tag(configuration: Mapping[str, Any], cluster: str) -> dict[str, Any]:
    """Return *configuration* with the tag that names its cluster."""
    tags = [tag for tag in configuration.get("Tags") or [] if tag.get("Key") != CLUSTER_TAG]
    return {**configuration, "Tags": [*tags, {"Key": CLUSTER_TAG, "Value": cluster}]}


def _filled(data: object, values: Mapping[str, str]) -> object:
    if isinstance(data, str):
        return _PLACEHOLDER.sub(lambda match: values[match[1]], data)
    if isinstance(data, Mapping):
        return {key: _filled(value, values) for key, value in data.items() if not _is_empty(value, values)}
    if isinstance(data, list):
        items = (_DROPPED if _is_empty(item, values) else _filled(item, values) for item in data)
        return [item for item in items if item is not _DROPPED]
    return data


def _is_empty(item: object, values: Mapping[str, str]) -> bool:
    """Return whether a list item or a section is empty because its placeholder has no value."""
    if isinstance(item, Mapping):
        return bool(item) and all(_is_empty(value, values) for value in item.values())
    if not isinstance(item, str):
        return False
    bare = _OPTION.sub("", item, count=1) if _OPTION.match(item) else item
    match = _PLACEHOLDER.fullmatch(bare)
    return match is not None and not values[match[1]]


def _texts(data: object) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from _texts(value)
    elif isinstance(data, list):
        for item in data:
            yield from _texts(item)


def _values_of(data: object, key: str) -> Iterator[str]:
    if isinstance(data, Mapping):
        if isinstance(data.get(key), str):
            yield data[key]
        for value in data.values():
            yield from _values_of(value, key)
    elif isinstance(data, list):
        for item in data:
            yield from _values_of(item, key)
