"""The presets that come with the builder: the files from which a cluster on AWS is made.

A preset has four files, of which a user may keep a copy. A preset that is based on another one contains
only the files that differ, so that no copies drift apart; what a user gets is complete by itself.
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
"""For each preset, the directories in which its files are searched for, in this order."""

PRESETS = tuple(_BUILT_ON)


def shipped_preset(name: str) -> dict[str, bytes]:
    """Return the four files of a shipped preset, by name. Raises `KeyError` if it does not exist."""
    return {file: _content(_BUILT_ON[name], file) for file in FILES}


def iam_policy(boundary: str = "") -> bytes:
    """Return an IAM policy in JSON with the rights to create, list and delete clusters.

    With *boundary*, the ARN of a permissions boundary, a person can create and change only roles that
    have it: none of them can do more than the boundary allows.
    """
    policy = json.loads((files(__package__) / "iam-policy.json").read_bytes())
    if boundary:
        policy["Statement"] = [
            part for statement in policy["Statement"] for part in _bound(statement, boundary)
        ]
    return json.dumps(policy, indent=2).encode() + b"\n"


def iam_boundary() -> bytes:
    """Return an IAM policy in JSON with the most that the machines of clusters may be allowed to do."""
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
"""Actions that can give a role any right; IAM supports the key ``iam:PermissionsBoundary`` for each."""


def _bound(statement: dict[str, Any], boundary: str) -> Iterator[dict[str, Any]]:
    """Split *statement*: actions that give rights are allowed only for roles with the *boundary*."""
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    giving = [action for action in actions if action in _GIVE_RIGHTS]
    others = [action for action in actions if action not in _GIVE_RIGHTS]
    # The name is left out to save space: a managed policy has 6 KB at most.
    unnamed = {key: value for key, value in statement.items() if key != "Sid"}
    if others:
        yield {**unnamed, "Action": others}
    if giving:
        condition = {**statement.get("Condition", {}), "StringEquals": {"iam:PermissionsBoundary": boundary}}
        yield {**unnamed, "Action": giving, "Condition": condition}


def _content(directories: tuple[str, ...], file: str) -> bytes:
    candidates = (files(__package__) / directory / file for directory in directories)
    return next(candidate for candidate in candidates if candidate.is_file()).read_bytes()
