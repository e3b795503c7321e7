"""The agent's own directory on this machine."""

from __future__ import annotations

from cloudq.adapters.workspace.directory import DirectoryWorkspace

__all__ = ["DirectoryWorkspace"]
