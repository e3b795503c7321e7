"""Make a shipped preset the user's own."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from cloudq.ports.presets import Presets


@frozen
class CopyPreset:
    """Copies a preset to where it can be edited."""

    presets: Presets

    def __call__(self, name: str) -> Path:
        """The directory of the copy. Raises `TargetExists` rather than overwrite."""
        return self.presets.copy(name)
