"""The presets that come with the builder: what a cluster on AWS is made of, as files that a user may own.

A preset is four files. One that builds on another has only those of its own that differ, so that there are
no copies to drift apart; what a user gets is complete and stands alone.
"""

from __future__ import annotations

from importlib.resources import files

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


def iam_policy() -> bytes:
    """What a person needs to be allowed to make, list and delete clusters, as an IAM policy in JSON."""
    return (files(__package__) / "iam-policy.json").read_bytes()


def _found(directories: tuple[str, ...], file: str) -> bytes:
    candidates = (files(__package__) / directory / file for directory in directories)
    return next(candidate for candidate in candidates if candidate.is_file()).read_bytes()
