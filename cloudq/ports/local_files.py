"""The files of whoever runs a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class LocalFiles(Protocol):
    """Files that are read and written by name; links are followed, as all commands do."""

    def is_file(self, path: Path) -> bool:
        """Whether there is a file, which can be read to an end."""
        ...

    def is_directory(self, path: Path) -> bool:
        """Whether there is a directory."""
        ...

    def size(self, path: Path) -> int:
        """Bytes in the file."""
        ...

    def below(self, directory: Path) -> tuple[str, ...]:
        """All files below *directory*, in order, relative to it, with slashes.

        Raises `InvalidInput`, for all at once, for what is neither a file nor a directory, cannot
        be listed, or leads in circles.
        """
        ...

    def write(self, target: Path, pieces: Iterator[bytes]) -> None:
        """Write *pieces*. The file is there whole or not at all.

        One that was there is replaced; directories are made as needed. Nothing is made if the first
        piece cannot be had. Raises what *pieces* raises, and `WorkspaceProblem`.
        """
        ...

    def scratch(self) -> AbstractContextManager[Path]:
        """A name for a new file, which is removed in the end."""
        ...

    def stop(self) -> None:
        """Have every `write` that is under way fail soon; none leaves anything behind."""
        ...
