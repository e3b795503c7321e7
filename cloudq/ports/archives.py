"""Archives of files that travel with a job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Archives(Protocol):
    """Packs and extracts zip archives as streams, on any operating system."""

    def check(self, paths: Sequence[Path], script: Path) -> None:
        """Raise `InvalidInput` for every path that cannot go along with *script*.

        It is missing, unreadable, or has the name of another one or, as another file, of the script.
        """
        ...

    def pack(self, paths: Sequence[Path], archive: Path) -> None:
        """Pack files, and directories with all they hold, under their own last names.

        Raises `InvalidInput` for what cannot be read.
        """
        ...

    def extract(self, archive: Path, into: Path) -> None:
        """Extract into the new directory *into*; nothing ever leaves it.

        Raises `ArchiveRejected` for an archive that would, or that unpacks to too much.
        """
        ...
