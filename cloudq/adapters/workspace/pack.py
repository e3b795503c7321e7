"""Packing what a job made: regular files that are new or changed since the hand-over.

The script has ended, but what it left may still change, vanish or be unreadable: that costs the
file, never the archive.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from attrs import field, frozen

from cloudq.adapters.filesystem import is_full
from cloudq.ports.workspace import PackedOutput

MAX_NAMED = 1_000
"""How many files that were left out are named; the rest are counted."""

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 1 << 20
_ZIP64_FROM = 1 << 30
_OLDEST = (1980, 1, 1, 0, 0, 0)

Mark = tuple[int, int, int]
"""Size, time of change and inode: a file that has the same three was not touched."""


@frozen
class _Found:
    """A directory entry of the walk."""

    path: str
    name: str
    directory: int
    info: os.stat_result | None


def take_baseline(root: Path) -> bytes:
    """All regular files under *root* as `read_baseline` reads them."""
    lines = []
    for found in _walk(root, []):
        if found.info is not None and stat.S_ISREG(found.info.st_mode):
            size, changed, inode = _mark(found.info)
            lines.append(b"%d %d %d %s\0" % (size, changed, inode, os.fsencode(found.path)))
    return b"".join(lines)


def read_baseline(content: bytes) -> dict[str, Mark]:
    """The marks by path; what cannot be read is left out and will be packed."""
    marks = {}
    for line in content.split(b"\0"):
        parts = line.split(b" ", 3)
        if len(parts) == 4 and all(part.isdigit() and len(part) < 40 for part in parts[:3]):
            marks[os.fsdecode(parts[3])] = (int(parts[0]), int(parts[1]), int(parts[2]))
    return marks


def pack_changed(root: Path, baseline: Mapping[str, Mark], archive: Path) -> PackedOutput:
    """Pack what differs from *baseline* into *archive*, which is there whole or not at all."""
    archive.unlink(missing_ok=True)
    unfinished = archive.with_name(f"{archive.name}.new")
    packer = _Packer(baseline)
    try:
        with unfinished.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            count = packer.pack(root, file)
        if not count:
            return PackedOutput(0, packer.named())
        unfinished.replace(archive)
    finally:
        unfinished.unlink(missing_ok=True)
    return PackedOutput(archive.stat().st_size, packer.named())


@frozen
class _Packer:
    baseline: Mapping[str, Mark]
    left_out: list[str] = field(factory=list)

    def pack(self, root: Path, file: BinaryIO) -> int:
        """Write the archive; return how many files are in it."""
        count = 0
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for found in _walk(root, self.left_out):
                if self._is_wanted(found):
                    count += self._add(archive, found)
        return count

    def named(self) -> tuple[str, ...]:
        """The files left out, a bounded number of them by name."""
        more = len(self.left_out) - MAX_NAMED
        rest = (f"… and {more} more",) if more > 0 else ()
        return (*(_readable(name) for name in self.left_out[:MAX_NAMED]), *rest)

    def _is_wanted(self, found: _Found) -> bool:
        if found.info is None:
            return False
        if not stat.S_ISREG(found.info.st_mode):
            self.left_out.append(found.path)
            return False
        return self.baseline.get(found.path) != _mark(found.info)

    def _add(self, archive: zipfile.ZipFile, found: _Found) -> bool:
        try:
            handle = os.open(found.name, _READ, dir_fd=found.directory)
        except FileNotFoundError:
            return False
        except OSError as error:
            self.left_out.append(f"{found.path} ({error.strerror})")
            return False
        with os.fdopen(handle, "rb") as source:
            info = os.fstat(handle)
            if not stat.S_ISREG(info.st_mode):
                self.left_out.append(found.path)
                return False
            self._copy(archive, found, source, info)
        return True

    def _copy(self, archive: zipfile.ZipFile, found: _Found, source: BinaryIO, info: os.stat_result) -> None:
        entry = _entry(found.path, info)
        left = info.st_size  # a file that grows for ever is packed as far as it was
        with archive.open(entry, "w", force_zip64=left >= _ZIP64_FROM) as packed:
            while left > 0:
                try:
                    chunk = source.read(min(left, _CHUNK))
                except OSError as error:
                    self.left_out.append(f"{found.path} (only in part: {error.strerror})")
                    return
                if not chunk:
                    return
                packed.write(chunk)
                left -= len(chunk)


def _walk(root: Path, troubles: list[str]) -> Iterator[_Found]:
    """Everything under *root* that is no directory, links not followed, in a steady order."""

    def note(error: OSError) -> None:
        if is_full(error):
            raise error
        name = os.path.relpath(error.filename, root) if error.filename else "?"
        troubles.append(f"{name} ({error.strerror})")

    for path, directories, files, handle in os.fwalk(root, onerror=note):
        directories.sort()
        inside = os.path.relpath(path, root)
        for name in sorted((*files, *_links(directories, handle))):
            whole = name if inside == "." else f"{inside}/{name}"
            yield _Found(whole, name, handle, _info(name, handle))


def _links(directories: list[str], handle: int) -> list[str]:
    """Links to directories, which the walk lists with these and does not enter."""
    return [name for name in directories if (info := _info(name, handle)) and stat.S_ISLNK(info.st_mode)]


def _info(name: str, directory: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return None


def _mark(info: os.stat_result) -> Mark:
    return (info.st_size, info.st_mtime_ns, info.st_ino)


def _entry(path: str, info: os.stat_result) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(_readable(path), _date(info))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (stat.S_IFREG | info.st_mode & 0o777) << 16
    entry.file_size = info.st_size
    return entry


def _readable(path: str) -> str:
    """*path* with bytes that are no UTF-8 replaced: archives and records hold text."""
    return os.fsencode(path).decode(errors="replace")


def _date(info: os.stat_result) -> tuple[int, int, int, int, int, int]:
    changed = datetime.fromtimestamp(min(max(info.st_mtime, 0), 4_000_000_000), UTC)
    parts = changed.timetuple()[:6]
    return max(_OLDEST, parts)
