"""Archives of files that travel with a job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen

from cloudq.domain.jobs.contents import Contents


@frozen
class Packed:
    """What was packed, and what could not go along."""

    contents: Contents
    left_out: tuple[str, ...] = ()
    """Names with the reason; of very many a part, and the last one says how many more there are."""
    left_out_count: int = 0


class Archives(Protocol):
    """Packs and extracts zip archives as streams, on any operating system."""

    def check(self, paths: Sequence[Path], script: Path) -> None:
        """Raise `InvalidInput` for every path that cannot go along with *script*.

        It is missing, unreadable, or has the name of another one or, as another file, of the script.
        """
        ...

    def pack(self, paths: Sequence[Path], archive: Path) -> Packed:
        """Pack files, and directories with all they hold, under their own last names.

        Links are followed. Raises `InvalidInput` for what cannot be read, and for more than an
        agent takes.
        """
        ...

    def extract(
        self,
        archives: Sequence[Path],
        into: Path,
        promised: Contents | None = None,
        *,
        unlimited: bool = False,
    ) -> tuple[str, ...]:
        """Extract into the new directory *into*, which is there whole or not; nothing ever leaves it.

        Returns single entries that were not brought, with the reason. Raises `ArchiveRejected` for
        archives that would leave it or hold more than was *promised*, and `WorkspaceFull` if they
        hold more than is free. Without a promise a fixed ratio and size are the limits. *unlimited*
        waives all limits of size.
        """
        ...
