"""Archives of the files that belong to a job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen

from cloudq.domain.jobs.contents import Contents


@frozen
class Packed:
    """The contents that were packed, and the files that could not be included."""

    contents: Contents
    left_out: tuple[str, ...] = ()
    """Names with reasons; only a part of very many, and then the last entry states how many are missing."""
    left_out_count: int = 0


def any_file(_: str) -> bool:
    """Accept every file."""
    return True


class Archives(Protocol):
    """A tool that packs and extracts zip archives as streams, on any operating system."""

    def check(self, paths: Sequence[Path], script: Path) -> None:
        """Raise `InvalidInput` for every path that cannot be packed along with *script*.

        Such a path is missing, unreadable, or has the same name as another path or, if it is another file,
        as the script.
        """
        ...

    def pack(self, paths: Sequence[Path], archive: Path) -> Packed:
        """Pack files, and directories with all their contents, each under the last part of its path.

        Links are followed. Raises `InvalidInput` for files that cannot be read, and for more than an agent
        accepts.
        """
        ...

    def extract(
        self,
        archives: Sequence[Path],
        into: Path,
        promised: Contents | None = None,
        *,
        unlimited: bool = False,
        wanted: Callable[[str], bool] = any_file,
    ) -> tuple[str, ...]:
        """Extract into the new directory *into*, which appears complete or not at all; nothing leaves it.

        Only files and links whose path in the archive is *wanted* are extracted, with their directories.
        Returns the entries that were not extracted, with reasons. Raises `ArchiveRejected` for archives
        that would leave the directory or contain more than was *promised*, and `WorkspaceFull` if they
        contain more than is free. Without a promise, a fixed ratio and size are the limits. *unlimited*
        waives all limits of size.
        """
        ...
