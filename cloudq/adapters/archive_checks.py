"""What an archive that somebody else made may hold and unpack to."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from cloudq.domain.errors import ArchiveRejected

BAD_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What the zipfile module raises for archives that are damaged, or made to damage."""

_ENCRYPTED = 1
_ENTRY = b"PK\1\2"
"""What each entry of the table of contents begins with."""


@frozen
class ArchiveLimits:
    """What an archive may unpack to."""

    entries: int = 200_000
    directory_bytes: int = 64 << 20
    """Of the archive's own table of contents, which is read as a whole."""
    total_bytes: int = 256 << 30
    ratio: int = 200
    """Unpacked bytes for one packed; not judged below *free_bytes*."""
    free_bytes: int = 1 << 30


@contextmanager
def opened_archive(archive: Path, limits: ArchiveLimits) -> Iterator[tuple[zipfile.ZipFile, int]]:
    """The archive and the size it unpacks to. Raises `ArchiveRejected` for what no honest archive holds.

    Whatever an archive says of its table of contents, no more of it is read than *limits* allow.
    """
    with _BoundedReader(io.FileIO(archive), limits) as file, zipfile.ZipFile(file) as opened:
        file.is_opening = False
        yield opened, _check(opened.infolist(), archive.stat().st_size, limits)


class _BoundedReader(io.BufferedReader):
    """A file of which the zipfile module reads no table of contents that is too large for memory."""

    def __init__(self, raw: io.RawIOBase, limits: ArchiveLimits) -> None:
        super().__init__(raw)
        self._limits = limits
        self.is_opening = True

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.is_opening:
            return super().read(size)
        if size is not None and size > self._limits.directory_bytes:
            raise ArchiveRejected("the archive's table of contents is larger than any that is read")
        content = super().read(size)
        if content.count(_ENTRY) > self._limits.entries:
            raise ArchiveRejected(f"the archive has more than {self._limits.entries} files")
        return content


def _check(entries: Sequence[zipfile.ZipInfo], packed: int, limits: ArchiveLimits) -> int:
    if len(entries) > limits.entries:
        raise ArchiveRejected(f"the archive has more than {limits.entries} files")
    for entry in entries:
        if problem := _entry_problem(entry):
            raise ArchiveRejected(f"the archive was refused: {entry.filename[:200]!r} {problem}")
    total = sum(entry.file_size for entry in entries)
    if total > limits.total_bytes or total > max(limits.free_bytes, packed * limits.ratio):
        raise ArchiveRejected(f"the archive of {packed} bytes would unpack to {total}")
    return total


def parts_of(entry: zipfile.ZipInfo) -> list[str]:
    """The parts of an entry's path."""
    return entry.filename.removesuffix("/").split("/")


def _entry_problem(entry: zipfile.ZipInfo) -> str | None:
    name = entry.filename
    parts = parts_of(entry)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if name.startswith("/") or not parts or any(part in {"", ".", ".."} for part in parts):
        return "would be written outside its directory"
    if any(len(part.encode(errors="surrogateescape")) > 255 for part in parts):
        return "is longer than a file name can be"
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "is neither a file nor a directory"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    return None
