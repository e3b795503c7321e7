"""The files of the user who runs a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class LocalFiles(Protocol):
    """Files that are read and written by name; links are followed, as all commands do."""

    def is_file(self, path: Path) -> bool:
        """Return whether *path* is a file that can be read to its end."""
        ...

    def is_directory(self, path: Path) -> bool:
        """Return whether *path* is a directory."""
        ...

    def size(self, path: Path) -> int:
        """Return the number of bytes in the file."""
        ...

    def below(self, directory: Path) -> tuple[str, ...]:
        """Return all files below *directory*, in order, relative to it, with slashes.

        Raises one `InvalidInput` for everything that is neither a file nor a directory, cannot be listed,
        or leads in circles.
        """
        ...

    def write(self, target: Path, pieces: Iterator[bytes]) -> None:
        """Write *pieces* to *target*, which appears complete or not at all.

        An existing file is replaced; directories are made as needed. Nothing is made if the first piece
        cannot be obtained. Raises what *pieces* raises, and `WorkspaceProblem`.
        """
        ...

    def scratch(self) -> AbstractContextManager[Path]:
        """Return a context with a name for a new file, which is removed at the end."""
        ...

    def stop(self) -> None:
        """Make every running `write` fail soon; none leaves anything behind."""
        ...
