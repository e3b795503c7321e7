"""Keep a home's notes about the lease in the memory of this process."""

from __future__ import annotations

from attrs import define, field

from cloudq.domain.errors import WorkspaceFull
from cloudq.domain.jobs.lease import LeaseNotes


@define
class RememberedLease:
    """The port `LeaseMemory`."""

    kept: LeaseNotes = field(factory=LeaseNotes)
    doubts: str = ""
    is_full: bool = False
    """Whether nothing can be kept because the disk is full."""

    def notes(self) -> LeaseNotes:
        return self.kept

    def keep(self, notes: LeaseNotes) -> None:
        if self.is_full:
            raise WorkspaceFull("no space left")
        self.kept = notes

    def doubt(self) -> str:
        return self.doubts

    def raise_doubt(self, reason: str) -> None:
        self.doubts = reason
