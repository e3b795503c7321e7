"""Files as objects: complete or absent, and dated by the file system's clock.

Nothing here requires POSIX: clients run on Windows and macOS, too.
"""

from __future__ import annotations

import errno
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cloudq.domain.errors import OutcomeUnknown, StoreProblem, StoreRefused, StoreUnavailable

PRIVATE_DIR = 0o700
MAX_RACES = 100

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS_A_MS = 1_000_000
# A link or a pipe in an object's place is no object. No system has all of these flags.
_READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO})
_NO_LINKS = frozenset(
    {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
)

_IN_THE_WAY = "another key is in the way: no key may consist of a whole other key, a slash and more text"
_RIGHTS = "check its owner, its permissions and how the file system is mounted"
REFUSALS: dict[int, str] = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or ask for a larger quota",
    errno.EROFS: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENAMETOOLONG: "the directory's own path is too long for such a key",
    errno.EINVAL: "the file system does not accept such a name",
    errno.EILSEQ: "the file system does not accept such a name",
    errno.EFBIG: "the file system does not accept files of this size",
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EISDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOLCK: "the file system has no locks; mount it with locks (NFS: lockd; Lustre: -o flock)",
    errno.ENOSYS: "the file system lacks something that cloudq needs, such as locks (Lustre: -o flock)",
}
"""Errors that do not go away by themselves, and what to do; any other may be temporary."""


@contextmanager
def as_store_problem(root: Path, *, conditional: bool = False) -> Iterator[None]:
    """Translate the operating system's errors for the store's files into cloudq's."""
    try:
        yield
    except OSError as error:
        raise _store_problem(root, error, conditional=conditional) from error


def _store_problem(root: Path, error: OSError, *, conditional: bool) -> StoreProblem:
    words = f"directory store {root}: {error.strerror or error}"
    if error.errno in REFUSALS:
        return StoreRefused(f"{words}; {REFUSALS[error.errno]}")
    return (OutcomeUnknown if conditional else StoreUnavailable)(words)


def open_object(path: Path) -> int | None:
    """Return a handle for reading a regular file, or None if there is none."""
    try:
        handle = os.open(path, _READ_FLAGS)
    except OSError as error:
        if error.errno in _ABSENT or path.is_dir():  # Windows reports missing rights for a directory
            return None
        raise
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    return None


def object_info(path: Path) -> os.stat_result | None:
    """Return the status of a regular file without opening it, or None if there is none."""
    try:
        info = path.lstat()
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise
    return info if stat.S_ISREG(info.st_mode) else None


def etag_of(info: os.stat_result) -> str:
    """Return the ETag of this version of the object, without reading the object."""
    return f"{info.st_ino:x}-{info.st_mtime_ns:x}-{info.st_size:x}"


def time_of(info: os.stat_result) -> datetime:
    """Return when a file was written, by the file system's clock."""
    return _EPOCH + timedelta(microseconds=info.st_mtime_ns // 1000)


def stamp(path: Path) -> os.stat_result:
    """Date a complete file by its file system's clock, and make the date distinctive.

    File system clocks tick every few milliseconds and inode numbers are reused, so a rewritten file
    could look like the one that it replaced: the digits below a millisecond distinguish them. They
    come from the file's name, which is partly random.
    """
    os.utime(path)  # no time is given, so a network file system uses the server's clock
    tick = path.stat().st_mtime_ns // _NS_A_MS * _NS_A_MS
    unique = tick + zlib.crc32(path.name.encode()) % _NS_A_MS
    os.utime(path, ns=(unique, unique))
    return path.stat()


def link_new(complete: Path, target: Path) -> bool:
    """Give a complete file the name of its key if that is free; return whether this call did.

    link(2) is exclusive on network file systems too. With O_EXCL and writing after it, readers could
    see half an object, and a crash could leave one. Raises OSError where links are not supported.
    """
    try:
        os.link(complete, target)
    except OSError as error:
        # NFS may report EEXIST for a link that it made itself, if its first answer was lost.
        with suppress(OSError):
            if complete.stat().st_ino == target.lstat().st_ino:
                return True
        if isinstance(error, FileExistsError):
            return False
        raise
    return True


def lacks_links(error: OSError) -> bool:
    """Return whether a failed link means that the file system has no links."""
    return error.errno in _NO_LINKS


def into_place(target: Path, move: Callable[[], bool]) -> bool:
    """Do *move*; create the directories that *target* needs, even while others remove empty ones."""
    for _ in range(MAX_RACES):
        try:
            return move()
        except FileNotFoundError:
            with suppress(FileNotFoundError):  # removed again when the last object in it was deleted
                make_dirs(target.parent)
    raise StoreUnavailable(f"{target.parent} is removed each time it is created")


def make_dirs(path: Path) -> None:
    """Make a directory and its parents, accessible only to this user."""
    # os.makedirs applies its mode only to the last directory.
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            with suppress(FileExistsError):
                folder.mkdir(mode=PRIVATE_DIR)
    if not path.is_dir():
        path.mkdir(mode=PRIVATE_DIR, exist_ok=True)


def remove_empty_dirs(folder: Path, root: Path) -> None:
    """Remove *folder* and its parents below *root*, as long as they are empty."""
    with suppress(OSError):  # not empty, or another process was first
        while folder != root:
            folder.rmdir()
            folder = folder.parent


def sync_dir(path: Path) -> None:
    """Make names in a directory survive a power cut, where directories can be synced."""
    flag = getattr(os, "O_DIRECTORY", None)
    if flag is None:
        return
    with suppress(OSError):  # some network file systems have no fsync of directories
        handle = os.open(path, os.O_RDONLY | flag)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
