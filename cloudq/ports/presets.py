"""Presets of clusters, and the program that is installed on their head nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import field, frozen

from cloudq.domain.clusters.preset import Preset


class Presets(Protocol):
    """The available presets; a user's own take precedence over those that come with cloudq."""

    def load(self, name: str) -> Preset:
        """Return a preset. Raises `ConfigProblem` that names everything missing or wrong, with its file."""
        ...

    def copy(self, name: str) -> Path:
        """Copy a shipped preset for the user to edit. Raises `TargetExists` instead of overwriting a file."""
        ...

    def person_policies(self, boundary: str) -> Mapping[str, str]:
        """Return the cloud policies for the person who builds clusters and for the boundary, by file name.

        The boundary limits the machines' roles. With *boundary*, its ARN, the person's policy permits roles
        only under it.
        """
        ...

    def text_of(self, configuration: Mapping[str, Any]) -> str:
        """Return a configuration as the text that is sent to the cloud."""
        ...


@frozen
class Wheel:
    """The wheel of this very cloudq, to be installed elsewhere."""

    name: str
    content: bytes = field(repr=False)
