"""Zip archives written as a stream: only the table of contents is held in memory."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, BinaryIO, cast

from attrs import define, field

from cloudq.adapters.archive_checks import ENCODED_NAME
from cloudq.domain.jobs.archive_names import encoded

PIECE_BYTES = 1 << 20
MAX_NAME_BYTES = 32 << 10
"""The limit for a whole path, encoded; the format allows 64 KiB."""

_ZIP64_FROM = 1 << 30
_OLDEST = (1980, 1, 1, 0, 0, 0)
_ENTRY_BYTES = 46 + len(ENCODED_NAME) + 32
"""The size of an entry in the table of contents, without its name."""


class _Sink:
    """The file into which the zipfile module writes; it has no position to set or to read."""

    def __init__(self) -> None:
        self.held = bytearray()
        self.taken = 0

    def write(self, piece: bytes) -> int:
        self.held += piece
        return len(piece)

    def flush(self) -> None:
        """Do nothing: everything that was written is already held."""

    def take(self) -> bytes:
        piece = bytes(self.held)
        self.held.clear()
        self.taken += len(piece)
        return piece


@define
class ZipStream:
    """An archive. Generators yield the bytes that are complete; the caller must consume them all."""

    level: int = 6
    files: int = field(default=0, init=False)
    total_bytes: int = field(default=0, init=False)
    """The unpacked size of the entries."""
    directory_bytes: int = field(default=0, init=False)
    """The size of the table of contents so far."""
    _sink: _Sink = field(factory=_Sink, init=False)
    _zip: zipfile.ZipFile = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._zip = zipfile.ZipFile(
            cast("IO[bytes]", self._sink),
            "w",
            zipfile.ZIP_DEFLATED,
            compresslevel=self.level,
        )

    @property
    def packed_bytes(self) -> int:
        """The size of the archive so far, in bytes."""
        return self._sink.taken + len(self._sink.held)

    def add_file(self, path: bytes, info: os.stat_result, source: BinaryIO) -> Iterator[bytes]:
        """Add the content of *source*, up to the size that it had when *info* was requested.

        Raises OSError if it cannot be read that far; the entry then holds what could be read.
        """
        left = info.st_size
        entry = self._entry(path, info, stat.S_IFREG)
        entry.file_size = left
        with self._zip.open(entry, "w", force_zip64=left >= _ZIP64_FROM) as packed:
            while left > 0 and (chunk := source.read(min(left, PIECE_BYTES))):
                packed.write(chunk)
                left -= len(chunk)
                self.total_bytes += len(chunk)
                if len(self._sink.held) >= PIECE_BYTES:
                    yield self._sink.take()

    def add_link(self, path: bytes, info: os.stat_result, target: bytes) -> None:
        """Add a symbolic link."""
        entry = self._entry(path, info, stat.S_IFLNK)
        entry.compress_type = zipfile.ZIP_STORED
        self._zip.writestr(entry, target)
        self.total_bytes += len(target)

    def add_directory(self, path: bytes, info: os.stat_result) -> None:
        """Add a directory; one that contains files need not be added."""
        entry = self._entry(path + b"/", info, stat.S_IFDIR)
        entry.compress_type = zipfile.ZIP_STORED
        self._zip.writestr(entry, b"")

    def finish(self) -> Iterator[bytes]:
        """Yield the rest of the archive, once nothing more is added."""
        self._zip.close()
        yield self._sink.take()

    def _entry(self, path: bytes, info: os.stat_result, kind: int) -> zipfile.ZipInfo:
        name = encoded(path)
        entry = zipfile.ZipInfo(name, _date(info))
        if name.encode() != path:
            entry.extra = ENCODED_NAME
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = (kind | info.st_mode & 0o777) << 16
        self.files += 1
        self.directory_bytes += _ENTRY_BYTES + len(name.encode())
        return entry


def _date(info: os.stat_result) -> tuple[int, int, int, int, int, int]:
    changed = datetime.fromtimestamp(min(max(info.st_mtime, 0), 4_000_000_000), UTC)
    parts = changed.timetuple()[:6]
    return max(_OLDEST, parts)
