"""Presets of clusters and the program that goes onto their head nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import field, frozen

from cloudq.domain.clusters.preset import Preset


class Presets(Protocol):
    """Where presets are: a user's own go before those that come with cloudq."""

    def load(self, name: str) -> Preset:
        """A preset. Raises `ConfigProblem` that names all that is missing or wrong, with its file."""
        ...

    def copy(self, name: str) -> Path:
        """Make a shipped preset the user's own, to be edited. Raises `TargetExists` rather than overwrite."""
        ...

    def person_policies(self, boundary: str) -> Mapping[str, str]:
        """Policies of the cloud by file name: the person's who builds clusters, and the machines' boundary.

        With *boundary*, its ARN, the person's policy lets roles be made only under it.
        """
        ...

    def text_of(self, configuration: Mapping[str, Any]) -> str:
        """A configuration as the text that goes to the cloud."""
        ...


@frozen
class Wheel:
    """This very cloudq, to be installed elsewhere."""

    name: str
    content: bytes = field(repr=False)
