"""The home of an agent on this machine."""

from __future__ import annotations

from cloudq.adapters.workspace.directory import DirectoryWorkspace
from cloudq.adapters.workspace.lease_memory import DirectoryLeaseMemory

__all__ = ["DirectoryLeaseMemory", "DirectoryWorkspace"]
