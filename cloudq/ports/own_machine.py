"""The facts about its own machine that an examination needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen


@frozen
class Access:
    """The access of users other than the owner to a file or directory, and whether it is ours."""

    others_read: bool
    others_write: bool
    is_ours: bool


@frozen
class Room:
    """The free space on a file system for this user."""

    free_bytes: int
    free_files: int | None
    """The number of files that can still be created; None if files are not counted."""


class OwnMachine(Protocol):
    """Queries about files and commands on this machine. They raise `WorkspaceProblem` without an answer."""

    def access(self, path: Path) -> Access | None:
        """Return the access of others; None if there is no such file, or the system has no file modes."""
        ...

    def why_not_writable(self, directory: Path) -> str:
        """Return why no file can be created in *directory*, or where it would be made; empty if one can.

        This is tried with a temporary file.
        """
        ...

    def room(self, directory: Path) -> Room:
        """Return the free space for *directory*, or for the nearest directory above it that exists."""
        ...

    def missing(self, commands: Sequence[str]) -> tuple[str, ...]:
        """Return those *commands* that would not be found after a login."""
        ...
