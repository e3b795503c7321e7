"""The home's notes about the lease: files under ``lease/`` (protocol 6.5 to 6.7)."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from cloudq.adapters.filesystem import (
    as_workspace_problem,
    make_private_dir,
    read_fields,
    read_record,
    replace_file,
    write_fields,
)
from cloudq.adapters.workspace.home_place import note_place, why_not_the_same_home
from cloudq.domain.jobs.lease import Lease, LeaseNotes

_NO_EPOCH = "0"


@frozen
class DirectoryLeaseMemory:
    """The `LeaseMemory` in the home *root* for the lease *name*: one system in one store."""

    root: Path
    name: str

    def notes(self) -> LeaseNotes:
        fields = read_fields(self._folder / "notes") or {}
        epoch = fields.get("epoch", _NO_EPOCH)
        return LeaseNotes(
            int(epoch) if epoch.isdecimal() else 0,
            tuple(fields.get("nonces", "").split()),
            fields.get("confirmed", ""),
            fields.get("doubt", ""),
            tuple(fields.get("settled", "").split()),
            tuple(fields.get("refused", "").split()),
        )

    def keep(self, notes: LeaseNotes) -> None:
        fields = {
            "epoch": notes.epoch,
            "nonces": " ".join(notes.nonces),
            "confirmed": notes.confirmed,
            "doubt": notes.bucket_doubt,
            "settled": " ".join(notes.settled),
            "refused": " ".join(notes.refused),
        }
        self._write("notes", write_fields(fields))
        note_place(self.root)

    def doubt(self) -> str:
        noted = read_record(self._folder / "doubt")
        return why_not_the_same_home(self.root) or (noted or b"").decode(errors="replace")

    def raise_doubt(self, reason: str) -> None:
        self._write("doubt", reason.encode())

    def confirm(self, standing: Lease | None = None) -> None:
        """Record that a person confirms the home: no doubt remains about *standing*, the lease in the store.

        No epoch is kept. A copy that renews the lease later is noticed.
        """
        with as_workspace_problem(f"write {self._folder}"):
            (self._folder / "doubt").unlink(missing_ok=True)
        self.keep(self.notes().after_confirmation(standing))

    @property
    def _folder(self) -> Path:
        return self.root / "lease" / self.name

    def _write(self, name: str, content: bytes) -> None:
        with as_workspace_problem(f"write {self._folder / name}"):
            make_private_dir(self._folder.parent)
            make_private_dir(self._folder)
            replace_file(self._folder / name, content)
