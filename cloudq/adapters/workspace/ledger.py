"""The ledger: the claims that this home started, kept for 13 months beside the cache.

A bucket may lose them. Each start is one line, in one file per month and first byte of the job id, so
that a lookup reads a few kilobytes however many jobs there are.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from attrs import frozen

from cloudq.adapters.filesystem import (
    PRIVATE_FILE,
    as_workspace_problem,
    make_private_dir,
    remove_tree,
    sync_dir,
)
from cloudq.domain.errors import WorkspaceProblem
from cloudq.domain.names import ClaimTag

MONTHS_KEPT = 13
MAX_FILE_BYTES = 64 << 20
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")


@frozen
class Ledger:
    """The starts noted below the directory *root*."""

    root: Path

    def note(self, tag: ClaimTag, submission: str, at: datetime) -> None:
        """Record durably that *tag* of *submission* is about to be handed to the scheduler."""
        path = self._file(f"{at:%Y-%m}", tag)
        with as_workspace_problem(f"write {path}"):
            if not path.parent.is_dir():
                make_private_dir(path.parent)
                sync_dir(self.root)
                self._prune()
            _append(path, f"{tag} {submission} {at.isoformat()}\n".encode())

    def find(self, tag: ClaimTag, submission: str) -> datetime | None:
        """Return when *tag* of *submission* was first handed to the scheduler; None if it never was."""
        starts = [at for month in self._months() for at in _starts(self._file(month, tag), tag, submission)]
        return min(starts, default=None)

    def _file(self, month: str, tag: ClaimTag) -> Path:
        return self.root / month / tag.job_id[:2]

    def _months(self) -> list[str]:
        with as_workspace_problem(f"list {self.root}"):
            try:
                names = os.listdir(self.root)  # noqa: PTH208 (only names are needed)
            except FileNotFoundError:
                return []
        return sorted(name for name in names if _MONTH.fullmatch(name))

    def _prune(self) -> None:
        """Keep the newest months, chosen by count, not by age: a clock that is years off deletes none."""
        for month in self._months()[:-MONTHS_KEPT]:
            with suppress(OSError):
                remove_tree(self.root / month)


def _append(path: Path, line: bytes) -> None:
    is_new = not path.exists()
    handle = os.open(
        path,
        os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
        PRIVATE_FILE,
    )
    try:
        size = os.fstat(handle).st_size
        # A line that a power cut left incomplete must not absorb this one.
        os.write(handle, line if not size or os.pread(handle, 1, size - 1) == b"\n" else b"\n" + line)
        os.fsync(handle)
    finally:
        os.close(handle)
    if is_new:
        sync_dir(path.parent)


def _starts(path: Path, tag: ClaimTag, submission: str) -> list[datetime]:
    wanted = f"{tag} {submission} ".encode()
    starts = []
    for line in _read(path).splitlines():
        if line.startswith(wanted):
            with suppress(ValueError):
                starts.append(datetime.fromisoformat(line[len(wanted) :].decode(errors="replace")))
    return starts


def _read(path: Path) -> bytes:
    """Return the content of a file, empty if it is absent. Raises `WorkspaceProblem` if it cannot be read."""
    with as_workspace_problem(f"read {path}"):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        with os.fdopen(handle, "rb") as file:
            info = os.fstat(handle)
            if not stat.S_ISREG(info.st_mode) or info.st_size > MAX_FILE_BYTES:
                raise WorkspaceProblem(f"{path} is not a ledger of started jobs")
            return file.read()
