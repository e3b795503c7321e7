"""The notes about the lease that a home keeps from one process to the next (protocol 6.5 to 6.7)."""

from __future__ import annotations

from typing import Protocol

from cloudq.domain.jobs.lease import LeaseNotes


class LeaseMemory(Protocol):
    """The memory of one system's lease in one home. Every method may raise `WorkspaceProblem`."""

    def notes(self) -> LeaseNotes:
        """Return the notes that were kept last."""
        ...

    def keep(self, notes: LeaseNotes) -> None:
        """Replace the kept notes with *notes*, durably."""
        ...

    def doubt(self) -> str:
        """Return why a person must confirm this home before it starts jobs; empty if nothing is wrong."""
        ...

    def raise_doubt(self, reason: str) -> None:
        """Keep *reason* until a person confirms, durably."""
        ...
