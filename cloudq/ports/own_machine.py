"""What an examination asks of the machine it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen


@frozen
class Access:
    """Who besides its owner may do what with a file or directory."""

    others_read: bool
    others_write: bool
    is_ours: bool


@frozen
class Room:
    """What is left on a file system for this user."""

    free_bytes: int
    free_files: int | None
    """None where files are not counted."""


class OwnMachine(Protocol):
    """Questions about files and commands here. May raise `WorkspaceProblem`: no answer."""

    def access(self, path: Path) -> Access | None:
        """Who may do what; None if there is no such file, or the system knows no modes."""
        ...

    def why_not_writable(self, directory: Path) -> str:
        """Why no file can be made in *directory*, or where it would be made; empty if one can: tried."""
        ...

    def room(self, directory: Path) -> Room:
        """What is left where *directory*, or the nearest one above it that exists, is."""
        ...

    def missing(self, commands: Sequence[str]) -> tuple[str, ...]:
        """Those of *commands* that a login would not find."""
        ...
