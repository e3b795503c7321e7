"""Read shipped presets and fill in their values."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudq.adapters.presets import CLUSTER, NETWORK, shipped_preset
from cloudq.domain.clusters.preset import fill
from tests.parts.pcluster.part import real_pcluster

VALUES = {
    "region": "ap-northeast-1",
    "cluster_name": "mine",
    "keypair": "my-key",
    "head_subnet": "subnet-0123456789abcdef0",
    "compute_subnet": "subnet-0123456789abcdef1",
    "setup_bucket": "cloudq-setup-123456789012-ap-northeast-1",
    "head_node_script": "s3://cloudq-setup-123456789012-ap-northeast-1/clusters/mine/head-node.sh",
    "compute_node_script": "s3://cloudq-setup-123456789012-ap-northeast-1/clusters/mine/compute-node.sh",
    "wheel": "s3://cloudq-setup-123456789012-ap-northeast-1/clusters/mine/cloudq-2-py3-none-any.whl",
    "system": "mine",
    "store_endpoint": "https://s3.example.com",
    "store_bucket": "my-jobs",
    "store_prefix": "team/",
    "store_region": "eu-west-1",
    "secret": "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:cloudq/mine/store-Ab12Cd",
    "store_policy": "arn:aws:iam::123456789012:policy/cloudq/mine/mine-vpc-StorePolicy-1",
    "secret_policy": "arn:aws:iam::123456789012:policy/cloudq/mine/mine-vpc-SecretPolicy-1",
    "allowed_cidr": "203.0.113.7/32",
    "permissions_boundary": "arn:aws:iam::123456789012:policy/cloudq-boundary",
}
"""Every placeholder of a cluster's configuration, with a value."""

OPTIONAL = (
    "store_endpoint", "store_prefix", "store_region", "secret", "store_policy", "secret_policy",
    "permissions_boundary",
)  # fmt: skip
"""The placeholders that may be empty."""

PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


class Template(yaml.SafeLoader):
    """A YAML loader that reads CloudFormation's functions as ``{"Ref": …}`` and ``{"Fn::Sub": …}``."""


def _function(loader: Template, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


Template.add_multi_constructor("!", _function)


def cluster_configuration(preset: str) -> dict[str, Any]:
    """Return the configuration as it is shipped, placeholders included."""
    read: dict[str, Any] = yaml.safe_load(shipped_preset(preset)[CLUSTER])
    return read


def filled_configuration(preset: str, values: Mapping[str, str] = VALUES) -> dict[str, Any]:
    """Return the configuration with a value for every placeholder."""
    return fill(cluster_configuration(preset), values)


def network_template(preset: str = "default") -> dict[str, Any]:
    """Return the template as CloudFormation reads it."""
    read: dict[str, Any] = yaml.load(shipped_preset(preset)[NETWORK], Loader=Template)
    return read


def pcluster_command() -> Path:
    """Return the path of the real ``pcluster``; without it, the test is skipped, or fails in CI."""
    found = real_pcluster()
    if found is None:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain("AWS ParallelCluster is not installed here")
    return found
