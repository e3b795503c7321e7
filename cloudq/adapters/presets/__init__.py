"""The presets that come with the builder: what a cluster on AWS is made of, as files that a user may own.

A preset is four files. One that builds on another has only those of its own that differ, so that there are
no copies to drift apart; what a user gets is complete and stands alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

NETWORK, CLUSTER, HEAD_NODE, COMPUTE_NODE = "network.yaml", "cluster.yaml", "head-node.sh", "compute-node.sh"
FILES = (NETWORK, CLUSTER, HEAD_NODE, COMPUTE_NODE)

_BUILT_ON = {
    "default": ("default",),
    "enable_docker": ("enable_docker", "default"),
    "enable_gpu": ("enable_gpu", "enable_docker", "default"),
}
"""Preset → the directories in which its files are looked for, in this order."""

PRESETS = tuple(_BUILT_ON)


def shipped_preset(name: str) -> dict[str, bytes]:
    """The four files of a shipped preset, by name. Raises `KeyError` if there is none of this name."""
    return {file: _found(_BUILT_ON[name], file) for file in FILES}


def iam_policy(boundary: str = "") -> bytes:
    """What a person needs to be allowed to make, list and delete clusters, as an IAM policy in JSON.

    With *boundary*, the ARN of a permissions boundary, the person can make and change only roles that
    have it: none of them can do more than the boundary allows.
    """
    policy = json.loads((files(__package__) / "iam-policy.json").read_bytes())
    if boundary:
        policy["Statement"] = [
            part for statement in policy["Statement"] for part in _bound(statement, boundary)
        ]
    return json.dumps(policy, indent=2).encode() + b"\n"


def iam_boundary() -> bytes:
    """What the machines of clusters may be allowed to do at most, as an IAM policy in JSON."""
    return (files(__package__) / "iam-boundary.json").read_bytes()


_GIVE_RIGHTS = frozenset(
    {
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy",
        "iam:PutRolePolicy",
    }
)
"""By these a person could give a role any right; IAM knows the key ``iam:PermissionsBoundary`` for each."""


def _bound(statement: dict[str, Any], boundary: str) -> Iterator[dict[str, Any]]:
    """*statement*, its actions that give rights apart and only for roles with the *boundary*."""
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    giving = [action for action in actions if action in _GIVE_RIGHTS]
    others = [action for action in actions if action not in _GIVE_RIGHTS]
    # Without its name: a managed policy has 6 KB at most.
    unnamed = {key: value for key, value in statement.items() if key != "Sid"}
    if others:
        yield {**unnamed, "Action": others}
    if giving:
        condition = {**statement.get("Condition", {}), "StringEquals": {"iam:PermissionsBoundary": boundary}}
        yield {**unnamed, "Action": giving, "Condition": condition}


def _found(directories: tuple[str, ...], file: str) -> bytes:
    candidates = (files(__package__) / directory / file for directory in directories)
    return next(candidate for candidate in candidates if candidate.is_file()).read_bytes()
