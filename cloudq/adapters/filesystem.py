"""Files that other processes may write at the same time, on a disk that may be full.

Everything is private to the user (0600, 0700) and appears completely or not at all; a link in the last
part of a path is never followed.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cloudq.domain.errors import WorkspaceFull, WorkspaceProblem

PRIVATE_DIR = 0o700
PRIVATE_FILE = 0o600
MAX_RECORD_BYTES = 64 * 1024

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def as_workspace_problem(what: str) -> Iterator[None]:
    """Translate the operating system's errors while doing *what* into cloudq's."""
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        words = f"cannot {what}: {error.strerror or error}{place}"
        raise (WorkspaceFull if is_full(error) else WorkspaceProblem)(words) from error


def is_full(error: OSError) -> bool:
    """Return whether *error* means that no space, quota or inode is left."""
    return error.errno in _FULL


def make_private_dir(path: Path) -> None:
    """Make a directory that only this user can access; an existing one must be a real directory."""
    path.parent.mkdir(mode=PRIVATE_DIR, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=PRIVATE_DIR)
    if not stat.S_ISDIR(path.lstat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "not a real directory", str(path))
    path.chmod(PRIVATE_DIR)


def replace_file(path: Path, content: bytes, mode: int = PRIVATE_FILE) -> None:
    """Write a file durably: a reader sees the old content or the new, even after a power cut."""
    temporary = _written_beside(path, content, mode)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_dir(path.parent)


def create_file(path: Path, content: bytes, mode: int = PRIVATE_FILE) -> bool:
    """Create a file durably if it is absent; return whether this call did.

    A complete file is linked with link(2): this is exclusive on network file systems too, and no
    process sees a half-written file.
    """
    temporary = _written_beside(path, content, mode)
    try:
        return link_file(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def link_file(existing: Path, new: Path) -> bool:
    """Link *existing* to *new* durably if *new* is absent; return whether this call did."""
    with suppress(OSError):  # NFS may report EEXIST for its own link: the file there decides
        os.link(existing, new, follow_symlinks=False)
    linked = _same_file(existing, new)
    if not linked and not os.path.lexists(new):
        os.link(existing, new, follow_symlinks=False)
        linked = True
    sync_dir(new.parent)
    return linked


def write_new_file(target: Path, pieces: Iterator[bytes]) -> int:
    """Write *pieces* to the new file *target*; return its size. A failed write leaves no file behind.

    Raises the errors of *pieces*, and OSError for the file itself.
    """
    first = next(pieces, b"")  # an absent object must not leave an empty file
    with target.open("xb") as file:
        try:
            return file.write(first) + sum(map(file.write, pieces))
        except BaseException:
            file.close()  # Windows does not remove open files
            target.unlink(missing_ok=True)
            raise


def noted(pieces: Iterator[bytes], note: Callable[[int], object]) -> Iterator[bytes]:
    """Yield *pieces*; before each one, call *note* with the number of bytes up to its end."""
    done = 0
    for piece in pieces:
        done += len(piece)
        note(done)
        yield piece


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock file *path* for the block, or until this process dies; yield whether it was free."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 (few callers need this slow import)

    lock = FileLock(path, mode=PRIVATE_FILE)
    with as_workspace_problem(f"lock {path}"):
        try:
            lock.acquire(timeout=0)
        except Timeout:  # an OSError, too
            pass
        except NotImplementedError as error:
            raise WorkspaceProblem(f"cannot lock {path}: its file system does not support locks") from error
    try:
        yield lock.is_locked
    finally:
        lock.release()


def sync_dir(path: Path) -> None:
    """Make names in a directory survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_FOREIGN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""A link is not followed, and a pipe in a file's place does not block the reader."""


@contextmanager
def opened_foreign(path: Path) -> Iterator[int]:
    """Open a file that a job may have replaced by something else; yield its descriptor.

    Raises OSError unless it is a regular file of the account that owns its directory: not a link,
    which could name a secret of the agent such as ``/proc/self/environ``, not a pipe, a device, or
    another account's file under this name.
    """
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        handle = os.open(path.name, _FOREIGN_FILE, dir_fd=directory)
        try:
            info = os.fstat(handle)
            if not stat.S_ISREG(info.st_mode) or info.st_uid != os.fstat(directory).st_uid:
                raise OSError(errno.EINVAL, "not a regular file of its directory's owner", str(path))
            yield handle
        finally:
            os.close(handle)
    finally:
        os.close(directory)


def read_record(path: Path, limit: int = MAX_RECORD_BYTES) -> bytes | None:
    """Return the content of a small regular file; None if it is absent, too large or something else."""
    try:
        with opened_foreign(path) as handle:
            size = os.fstat(handle).st_size
            return None if size > limit else os.read(handle, size)  # a file that still grows is not complete
    except OSError:
        return None


def read_fields(path: Path) -> dict[str, str] | None:
    """Return the ``name=value`` lines of a record; None if it cannot be read."""
    content = read_record(path)
    if content is None:
        return None
    lines = content.decode(errors="replace").split("\n")
    return {name: value for name, separator, value in (line.partition("=") for line in lines) if separator}


def write_fields(fields: Mapping[str, object]) -> bytes:
    """Return *fields* as ``name=value`` lines that `read_fields` reads; line breaks become blanks."""
    lines = (f"{name}={' '.join(str(value).splitlines())}\n" for name, value in fields.items())
    return "".join(lines).encode(errors="replace")


MAX_TOUCHED = 500
"""The limit of files per tree: users who make millions of files must renew their times themselves."""


def touch_tree(root: Path) -> None:
    """Renew the access times of at most `MAX_TOUCHED` files; skip those that cannot be touched.

    Modification times stay: they show which files have changed.
    """
    now = time.time_ns()
    places = itertools.chain([str(root)], (entry.path for entry in _entries_below(root)))
    for path in itertools.islice(places, MAX_TOUCHED):
        with suppress(OSError):
            os.utime(path, ns=(now, os.lstat(path).st_mtime_ns), follow_symlinks=False)


def _entries_below(root: Path) -> Iterator[os.DirEntry[str]]:
    waiting = [str(root)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def remove_tree(path: Path) -> None:
    """Remove a file, a link or a whole directory, whatever its modes; links are not followed.

    Raises OSError for anything that cannot be removed even so.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    _open_up(path)
    shutil.rmtree(path, onerror=_open_up_and_try_again)


def _open_up_and_try_again(remove: Callable[..., Any], path: str, error: Any) -> None:
    if isinstance(error[1], FileNotFoundError):
        return
    target = Path(path)
    _open_up(target.parent)
    if remove in {os.unlink, os.rmdir}:
        remove(path)
    else:  # it could not be listed or opened
        _open_up(target)
        shutil.rmtree(path)


def _open_up(directory: Path) -> None:
    with suppress(OSError):
        if not directory.is_symlink():
            directory.chmod(PRIVATE_DIR)


def _written_beside(path: Path, content: bytes, mode: int) -> Path:
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(content)
            file.flush()
            os.fsync(handle)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _same_file(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except OSError:
        return False
