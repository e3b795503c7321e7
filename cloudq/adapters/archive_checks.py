"""Checks of untrusted archives: their contents and their unpacked size."""

from __future__ import annotations

import io
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve, frozen

from cloudq.domain.errors import ArchiveRejected, WorkspaceFull
from cloudq.domain.jobs.archive_names import decoded, encoded
from cloudq.domain.jobs.contents import Contents

BAD_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""The errors that the zipfile module raises for damaged or malicious archives."""

ENCODED_NAME = struct.pack("<HH", 0x7163, 0)
"""The extra field of an entry whose name `archive_names.encoded` changed."""

MAX_LINK_BYTES = 4096

_ENCRYPTED = 1
_ENTRY = b"PK\1\2"
"""The bytes at the beginning of each entry of the table of contents."""
_RESERVE_BYTES = 256 << 20
_RESERVED_SHARE = 20
_NO_LIMIT = 1 << 62


@frozen
class ArchiveLimits:
    """The limits for an archive and for what it unpacks to."""

    entries: int = 200_000
    directory_bytes: int = 64 << 20
    """The size of the archive's table of contents, which is read as a whole."""
    total_bytes: int = 256 << 30
    """The unpacked size, where no record states it."""
    ratio: int = 200
    """Unpacked bytes per packed byte, where no record states the size; not checked below *free_bytes*."""
    free_bytes: int = 1 << 30

    def waived(self) -> ArchiveLimits:
        """Return limits that allow any size."""
        return ArchiveLimits(_NO_LIMIT, _NO_LIMIT, _NO_LIMIT, _NO_LIMIT, _NO_LIMIT)

    def promised(self) -> ArchiveLimits:
        """Return only the limits that bound the table of contents in memory: a record states the sizes."""
        return evolve(self, total_bytes=_NO_LIMIT, ratio=_NO_LIMIT, free_bytes=_NO_LIMIT)


@contextmanager
def opened_archive(
    archive: Path, limits: ArchiveLimits, *, may_link: bool = False
) -> Iterator[tuple[zipfile.ZipFile, Contents]]:
    """Open *archive*; yield it and its contents. Raises `ArchiveRejected` for contents that are not allowed.

    Whatever size the archive states for its table of contents, no more than *limits* allow is read.
    """
    with _BoundedReader(io.FileIO(archive), limits) as file, zipfile.ZipFile(file) as opened:
        file.is_opening = False
        entries = opened.infolist()
        yield opened, _check(entries, archive.stat().st_size, limits, may_link=may_link)


def check_promise(contents: Contents, promised: Contents) -> None:
    """Raise `ArchiveRejected` if archives hold more than the job's record states."""
    for what, more, less in (
        ("files", contents.files, promised.files),
        ("bytes", contents.total_bytes, promised.total_bytes),
    ):
        if more > less:
            raise ArchiveRejected(f"the archive holds {more} {what}; the job's record states {less}")


def check_room(needed: int, place: Path) -> None:
    """Raise `WorkspaceFull` unless *place* has room for *needed* bytes and a reserve for others."""
    usage = shutil.disk_usage(place)
    reserve = min(_RESERVE_BYTES, usage.total // _RESERVED_SHARE)
    if needed > usage.free - reserve:
        raise WorkspaceFull(
            f"{needed} bytes are needed in {place}, where {usage.free} are free "
            f"({reserve} of them are kept for others)"
        )


def is_link(entry: zipfile.ZipInfo) -> bool:
    """Return whether an entry is marked as a symbolic link; its content is the target."""
    return stat.S_ISLNK(entry.external_attr >> 16)


def parts_of(entry: zipfile.ZipInfo) -> list[bytes]:
    """Return the parts of an entry's path, as they were on the file system that it came from."""
    name = entry.orig_filename.removesuffix("/")
    raw = decoded(name) if _is_encoded(entry) else name.encode("utf-8", "surrogateescape")
    return raw.split(b"/")


def _is_encoded(entry: zipfile.ZipInfo) -> bool:
    return ENCODED_NAME in entry.extra


class _BoundedReader(io.BufferedReader):
    """A file whose table of contents is rejected, while zipfile opens it, if it is too large for memory."""

    def __init__(self, raw: io.RawIOBase, limits: ArchiveLimits) -> None:
        super().__init__(raw)
        self._limits = limits
        self.is_opening = True

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.is_opening:
            return super().read(size)
        if size is not None and size > self._limits.directory_bytes:
            raise ArchiveRejected("the archive's table of contents is larger than cloudq reads")
        content = super().read(size)
        if content.count(_ENTRY) > self._limits.entries:
            raise ArchiveRejected(f"the archive has more than {self._limits.entries} files")
        return content


def _check(
    entries: Sequence[zipfile.ZipInfo], packed: int, limits: ArchiveLimits, *, may_link: bool
) -> Contents:
    if len(entries) > limits.entries:
        raise ArchiveRejected(f"the archive has more than {limits.entries} files")
    for entry in entries:
        if problem := _entry_problem(entry, may_link=may_link):
            raise ArchiveRejected(f"the archive was refused: {entry.filename[:200]!r} {problem}")
    if sum(entry.compress_size for entry in entries) > packed:
        raise ArchiveRejected("the archive was refused: its entries overlap")
    total = sum(entry.file_size for entry in entries)
    if total > limits.total_bytes or total > max(limits.free_bytes, packed * limits.ratio):
        raise ArchiveRejected(f"the archive of {packed} bytes would unpack to {total}")
    return Contents(len(entries), total)


def _entry_problem(entry: zipfile.ZipInfo, *, may_link: bool) -> str | None:
    parts = parts_of(entry)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if any(part in {b"", b".", b".."} for part in parts):
        return "would be written outside its directory"
    if any(len(part) > 255 for part in parts):
        return "is longer than a file name can be"
    if any(b"\0" in part for part in parts):
        return "has a NUL in its name"
    if _is_encoded(entry) and encoded(b"/".join(parts)) != entry.orig_filename.removesuffix("/"):
        return "has an ambiguous name"
    if kind == stat.S_IFLNK and may_link:
        return "is a link with a target of impossible length" if entry.file_size > MAX_LINK_BYTES else None
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "is neither a file nor a directory"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    return None
