"""Pack the output of a job: what is new or changed since the hand-over, streamed into the bucket.

The script has ended, but its files may still change, disappear or be unreadable. This affects the file,
never the archive. No part of an archive is stored on this disk.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from attrs import define, evolve, field, frozen

from cloudq.adapters.filesystem import is_full
from cloudq.adapters.left_out import LeftOut, kind_in_words
from cloudq.adapters.zip_stream import MAX_NAME_BYTES, ZipStream
from cloudq.domain.jobs.archive_names import encoded, leads_outside
from cloudq.domain.jobs.contents import Contents
from cloudq.domain.jobs.outputs import OutputFilter
from cloudq.ports.workspace import PackedOutput, PutArchive

FILES_AN_ARCHIVE = 50_000
BYTES_AN_ARCHIVE = 64 << 30
DIRECTORY_BYTES_AN_ARCHIVE = 16 << 20
"""Limits of one archive, so that every reader can hold its table of contents; the rest goes into others."""

EVERYTHING = OutputFilter()

_FAST = 1
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Mark = tuple[int, int, int]
"""Size, modification time and inode: a file with the same three values was not touched."""


@frozen
class _Entry:
    """A directory entry, relative to the root of the walk; a directory itself has one only if it is empty."""

    path: str
    name: str
    directory: int
    info: os.stat_result | None
    target: bytes = b""
    """The target of a link that can be packed."""


def take_baseline(root: Path) -> bytes:
    """List everything under *root* in the format that `read_baseline` reads."""
    lines = []
    for path, directories, files, handle in os.fwalk(root):
        inside = os.path.relpath(path, root)
        for name in (*files, *directories):
            if (info := _info(name, handle)) is not None:
                size, changed, inode = _mark(info)
                lines.append(b"%d %d %d %s\0" % (size, changed, inode, os.fsencode(_join(inside, name))))
    return b"".join(lines)


def read_baseline(content: bytes) -> dict[str, Mark]:
    """Return the marks by path; unreadable ones are left out, so that their files will be packed."""
    marks = {}
    for line in content.split(b"\0"):
        parts = line.split(b" ", 3)
        if len(parts) == 4 and all(part.isdigit() and len(part) < 40 for part in parts[:3]):
            marks[os.fsdecode(parts[3])] = (int(parts[0]), int(parts[1]), int(parts[2]))
    return marks


def pack_changed(
    root: Path, baseline: Mapping[str, Mark], put: PutArchive, is_wanted: OutputFilter = EVERYTHING
) -> PackedOutput:
    """Pass what differs from *baseline* and *is_wanted* to *put*, in as many archives as its readers need.

    Raises whatever *put* raises; all of it must then be packed again.
    """
    packer = _Packer(root, baseline, is_wanted)
    expected = sum(entry.info.st_size for entry in packer.wanted(LeftOut()) if entry.info)
    size = 0
    with closing(packer.wanted(packer.left_out)) as wanted:
        for first in wanted:
            packer.archives += 1
            pieces = packer.pieces(chain((first,), wanted))
            with closing(pieces):
                size += put(packer.archives, pieces, expected)
    return PackedOutput(
        size,
        Contents(packer.files, packer.total_bytes),
        packer.archives,
        packer.left_out.named(),
        packer.left_out.count,
    )


@define
class _Packer:
    root: Path
    baseline: Mapping[str, Mark]
    is_wanted: OutputFilter
    left_out: LeftOut = field(factory=LeftOut)
    archives: int = 0
    files: int = 0
    total_bytes: int = 0

    def wanted(self, left_out: LeftOut) -> Generator[_Entry, None, None]:
        """Yield the entries to pack. The directory of an entry is open until the next one is requested."""
        for entry in _walk(self.root, left_out):
            if entry.info is None or self._is_unchanged(entry, entry.info) or not self.is_wanted(entry.path):
                continue
            if len(os.fsencode(entry.path)) * 3 > MAX_NAME_BYTES:
                left_out.note(entry.path, "its path is too long")
            elif not _can_be_packed(entry.info):
                left_out.note(entry.path, kind_in_words(entry.info.st_mode))
            elif not stat.S_ISLNK(entry.info.st_mode):
                yield entry
            elif target := self._target(entry, left_out):
                yield evolve(entry, target=target)

    def pieces(self, wanted: Iterator[_Entry]) -> Generator[bytes, None, None]:
        """Yield the bytes of one archive, with as many of *wanted* as it can take."""
        stream = ZipStream(_FAST)
        for entry in wanted:
            assert entry.info is not None  # noqa: S101 (`wanted` ensures it)
            yield from self._add(stream, entry, entry.info)
            if (
                stream.files >= FILES_AN_ARCHIVE
                or stream.packed_bytes >= BYTES_AN_ARCHIVE
                or stream.directory_bytes >= DIRECTORY_BYTES_AN_ARCHIVE
            ):
                break
        yield from stream.finish()
        self.files += stream.files
        self.total_bytes += stream.total_bytes

    def _is_unchanged(self, entry: _Entry, info: os.stat_result) -> bool:
        before = self.baseline.get(entry.path)
        if stat.S_ISDIR(info.st_mode):  # its modification time depends on what was in it
            return before is not None and before[2] == info.st_ino
        return before == _mark(info)

    def _add(self, stream: ZipStream, entry: _Entry, info: os.stat_result) -> Iterator[bytes]:
        path = os.fsencode(entry.path)
        if stat.S_ISDIR(info.st_mode):
            stream.add_directory(path, info)
        elif stat.S_ISLNK(info.st_mode):
            stream.add_link(path, info, entry.target)
        else:
            yield from self._add_file(stream, entry)

    def _target(self, entry: _Entry, left_out: LeftOut) -> bytes:
        """Return the target of a link if it is in the tree, in a form valid in a copy; else nothing."""
        try:
            target = os.readlink(entry.name, dir_fd=entry.directory)
        except OSError:
            return b""  # it is gone
        if not leads_outside(entry.path, target):
            return os.fsencode(target)
        folder = os.path.join(os.path.realpath(self.root), os.path.dirname(entry.path))  # noqa: PTH118, PTH120
        real = os.path.realpath(os.path.join(folder, target))  # noqa: PTH118
        inside = os.path.relpath(real, folder)
        if leads_outside(entry.path, inside):
            shown = encoded(os.fsencode(target))[:200]
            left_out.note(entry.path, f"a link that leads out of the work directory, to {shown}")
            return b""
        return os.fsencode(inside)

    def _add_file(self, stream: ZipStream, entry: _Entry) -> Iterator[bytes]:
        try:
            handle = os.open(entry.name, _READ, dir_fd=entry.directory)
        except FileNotFoundError:
            return
        except OSError as error:
            self.left_out.note(entry.path, error.strerror or str(error))
            return
        with os.fdopen(handle, "rb") as source:
            info = os.fstat(handle)
            if stat.S_ISREG(info.st_mode):
                yield from self._copy(stream, entry, source, info)
            else:
                self.left_out.note(entry.path, kind_in_words(info.st_mode))

    def _copy(
        self, stream: ZipStream, entry: _Entry, source: BinaryIO, info: os.stat_result
    ) -> Iterator[bytes]:
        try:
            yield from stream.add_file(os.fsencode(entry.path), info, source)
        except OSError as error:
            self.left_out.note(entry.path, f"only in part: {error.strerror or error}")


def _can_be_packed(info: os.stat_result) -> bool:
    return stat.S_IFMT(info.st_mode) in {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}


def _walk(root: Path, left_out: LeftOut) -> Iterator[_Entry]:
    """Yield everything under *root* in a fixed order; directories only if empty, links not followed."""

    def note(error: OSError) -> None:
        if is_full(error):
            raise error
        name = os.path.relpath(error.filename, root) if error.filename else "?"
        left_out.note(name, error.strerror or str(error))

    for path, directories, files, handle in os.fwalk(root, onerror=note):
        directories.sort()
        inside = os.path.relpath(path, root)
        for name in sorted((*files, *_links(directories, handle))):
            yield _Entry(_join(inside, name), name, handle, _info(name, handle))
        if inside != "." and not files and not directories:
            yield _Entry(inside, ".", handle, os.fstat(handle))


def _join(directory: str, name: str) -> str:
    return name if directory == "." else f"{directory}/{name}"


def _links(directories: list[str], handle: int) -> list[str]:
    """Return the links to directories, which the walk lists among these and does not enter."""
    return [name for name in directories if (info := _info(name, handle)) and stat.S_ISLNK(info.st_mode)]


def _info(name: str, directory: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return None


def _mark(info: os.stat_result) -> Mark:
    return (info.st_size, info.st_mtime_ns, info.st_ino)
