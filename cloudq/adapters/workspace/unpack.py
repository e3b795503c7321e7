"""Extract an archive that another party made.

Every directory on the way is opened without following links, and files are created in the opened
directory, so that no path can be redirected outside while this runs.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cloudq.adapters.archive_checks import (
    BAD_ARCHIVE,
    ArchiveLimits,
    check_promise,
    check_room,
    opened_archive,
    parts_of,
)
from cloudq.domain.errors import ArchiveRejected
from cloudq.domain.jobs.archive_names import encoded
from cloudq.domain.jobs.contents import Contents
from cloudq.ports.workspace import go_on

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20


def extract_archive(
    archive: Path,
    target: Path,
    limits: ArchiveLimits,
    promised: Contents | None = None,
    check: Callable[[], object] = go_on,
) -> None:
    """Extract *archive* into the directory *target*; an earlier attempt may have begun it.

    Raises `ArchiveRejected`, before anything is written if the table of contents is the reason. *check*
    is called before each piece; what it raises is passed on.
    """
    limits = limits if promised is None else limits.promised()
    try:
        with opened_archive(archive, limits) as (opened, contents), _opened(target) as root:
            if promised is not None:
                check_promise(contents, promised)
            check_room(contents.total_bytes, target)
            for entry in opened.infolist():
                _extract_entry(opened, entry, root, check)
    except BAD_ARCHIVE as error:
        raise ArchiveRejected(f"the input archive cannot be read: {error}") from error


def _extract_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, root: int, check: Callable[[], object]
) -> None:
    *parents, name = parts_of(entry)
    mode = entry.external_attr >> 16 & 0o755
    with _descended(root, parents) as parent:
        if entry.is_dir():
            with _descended(parent, [name]):
                return
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
        handle = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        with os.fdopen(handle, "wb") as file, archive.open(entry) as source:
            while piece := source.read(_CHUNK):
                check()
                file.write(piece)
            os.fchmod(handle, mode | 0o600)


@contextmanager
def _descended(root: int, parts: list[bytes]) -> Iterator[int]:
    """Open the directory *parts* below *root*, and create what is missing."""
    current = os.dup(root)
    try:
        for part in parts:
            with suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=current)
            below = _open_directory(part, current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def _open_directory(part: bytes, parent: int) -> int:
    try:
        return os.open(part, _DIRECTORY, dir_fd=parent)
    except NotADirectoryError as error:
        raise ArchiveRejected(
            f"the input archive was refused: {encoded(part)!r} is not a directory"
        ) from error


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    handle = os.open(directory, _DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)
