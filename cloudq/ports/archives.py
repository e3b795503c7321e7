"""Archives of files that travel with a job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Archives(Protocol):
    """Packs and extracts zip archives as streams, on any operating system."""

    def pack(self, paths: Sequence[Path], archive: Path) -> None:
        """Pack files, and directories with all they hold, under their own last names.

        Raises `InvalidInput` naming every path that is missing, unreadable, or has the name of
        another one.
        """
        ...

    def extract(self, archive: Path, into: Path) -> None:
        """Extract into the new directory *into*; nothing ever leaves it.

        Raises `ArchiveRejected` for an archive that would, or that unpacks to too much.
        """
        ...
