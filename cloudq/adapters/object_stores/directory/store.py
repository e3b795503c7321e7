"""A directory as a bucket: on this machine, or on a file system that several machines share."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from cloudq.adapters.filesystem import noted, write_new_file
from cloudq.adapters.object_stores.directory import files
from cloudq.adapters.object_stores.directory.walk import Walk
from cloudq.adapters.object_stores.key_rules import RESERVED, key_parts
from cloudq.adapters.object_stores.paging import page_of
from cloudq.adapters.object_stores.streams import PIECE_BYTES, at_most, too_large
from cloudq.domain.errors import ObjectNotFound, PreconditionFailed, StoreRefused, StoreUnavailable
from cloudq.ports.object_store import (
    MAX_CONTROL_BYTES,
    ListedObject,
    ListPage,
    StoredObject,
    Unchanged,
    UnfinishedUpload,
    forget_progress,
)

LOCK_TIMEOUT_S = 10.0
LOCK_POLL_S = 0.005
LOCK_DIGITS = 3
"""Keys share 4,096 lock files, which are never removed, since removing a lock file is a race."""
LEFTOVER_AGE = timedelta(days=1)


class DirectoryStore:
    """The port `ObjectStore` over a directory, which is created when it is needed.

    An object is a file at the path of its key. It is written under another name and gets its final
    name when it is complete. Creation is exclusive by itself; replacing and deleting take a lock per
    key, so that no If-Match overwrites an object that it did not see. The store's clock is the file
    system's, never this machine's. See ``docs/decisions/0002-object-stores.md``.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._own = self._root / RESERVED
        self._sweep_lock = threading.Lock()
        self._swept = False

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        with files.as_store_problem(self._root), self._opened(key) as file:
            return self._read_small(key, file, max_bytes)

    def get_if_changed(
        self, key: str, etag: str, *, max_bytes: int = MAX_CONTROL_BYTES
    ) -> StoredObject | Unchanged:
        with files.as_store_problem(self._root), self._opened(key) as file:
            if files.etag_of(os.fstat(file.fileno())) == etag:
                return Unchanged(etag, self._date())
            return self._read_small(key, file, max_bytes)

    def put(self, key: str, body: bytes) -> str:
        return self._replace(key, (body,))

    def put_if_absent(self, key: str, body: bytes) -> str:
        target = self._path(key)
        with (
            files.as_store_problem(self._root, conditional=True),
            self._complete((body,)) as (complete, etag),
        ):
            if not files.into_place(target, lambda: self._link(complete, target, key)):
                if target.is_dir():
                    raise StoreRefused(f"{key}: {files.REFUSALS[errno.EISDIR]}")
                raise PreconditionFailed(f"{key} exists")
            files.sync_dir(target.parent)
            return etag

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        target = self._path(key)
        with (
            files.as_store_problem(self._root, conditional=True),
            self._complete((body,)) as (complete, new),
            self._locked(key),
        ):
            info = files.object_info(target)
            if info is None or files.etag_of(info) != etag:
                raise PreconditionFailed(f"{key} is gone or was rewritten")
            complete.replace(target)
            files.sync_dir(target.parent)
            return new

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        walk = Walk(self._root, prefix, start_after, roll_up=delimiter == "/")
        with files.as_store_problem(self._root):
            return page_of(
                walk.keys(),
                self._describe,
                prefix=prefix,
                delimiter=delimiter,
                limit=limit,
                date=self._date(),
            )

    def delete(self, keys: Sequence[str]) -> None:
        for key, target in [(key, self._path(key)) for key in keys]:
            with files.as_store_problem(self._root), self._locked(key):
                if files.object_info(target) is not None:
                    target.unlink(missing_ok=True)
                    files.remove_empty_dirs(target.parent, self._root)

    def upload(self, key: str, source: Path) -> None:
        with source.open("rb") as file:
            self._replace(key, iter(lambda: file.read(PIECE_BYTES), b""))

    def upload_pieces(self, key: str, pieces: Iterator[bytes], *, expected_bytes: int = 0) -> int:  # noqa: ARG002
        size = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for piece in pieces:
                size += len(piece)
                yield piece

        self._replace(key, counted())
        return size

    def unfinished_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:  # noqa: ARG002
        return iter(())  # later writers remove what killed ones leave

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Do nothing: there are no unfinished uploads."""

    def download(
        self,
        key: str,
        target: Path,
        *,
        max_bytes: int | None = None,
        note: Callable[[int], object] = forget_progress,
    ) -> int:
        return write_new_file(target, noted(at_most(self.read(key), max_bytes, key), note))

    def read(self, key: str) -> Iterator[bytes]:
        with self._opened(key) as file:
            while piece := self._piece(file):
                yield piece

    # Helpers -------------------------------------------------------------------------------------

    def _path(self, key: str) -> Path:
        return self._root.joinpath(*key_parts(key))

    @contextmanager
    def _opened(self, key: str) -> Iterator[BinaryIO]:
        with files.as_store_problem(self._root):
            handle = files.open_object(self._path(key))
        if handle is None:
            raise ObjectNotFound(key, self._date())
        with os.fdopen(handle, "rb") as file:
            yield file

    def _read_small(self, key: str, file: BinaryIO, max_bytes: int) -> StoredObject:
        info = os.fstat(file.fileno())
        if info.st_size > max_bytes:
            raise too_large(key, max_bytes)
        # A file is complete when it gets its name, and is never rewritten: the content fits this ETag.
        return StoredObject(key, file.read(max_bytes), files.etag_of(info), files.time_of(info), self._date())

    def _piece(self, file: BinaryIO) -> bytes:
        with files.as_store_problem(self._root):
            return file.read(PIECE_BYTES)

    def _replace(self, key: str, pieces: Iterable[bytes]) -> str:
        target = self._path(key)

        def move() -> bool:
            complete.replace(target)
            return True

        with (
            files.as_store_problem(self._root),
            self._complete(pieces) as (complete, etag),
            self._locked(key),
        ):
            files.into_place(target, move)
            files.sync_dir(target.parent)
            return etag

    @contextmanager
    def _complete(self, pieces: Iterable[bytes]) -> Iterator[tuple[Path, str]]:
        """Yield a complete file with *pieces* and its ETag, on the same file system but not as an object."""
        handle, name = tempfile.mkstemp(dir=self._own_dir("new"))
        path = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(handle)
            yield path, files.etag_of(files.stamp(path))
        finally:
            path.unlink(missing_ok=True)

    def _link(self, complete: Path, target: Path, key: str) -> bool:
        try:
            return files.link_new(complete, target)
        except OSError as error:
            if not files.lacks_links(error):
                raise
        # Without links, all other writers create with the lock, too.
        with self._locked(key):
            if target.exists():
                return False
            complete.replace(target)
            return True

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        from filelock import FileLock, Timeout  # noqa: PLC0415 (readers never need this slow import)

        stripe = hashlib.sha256(key.encode()).hexdigest()[:LOCK_DIGITS]
        lock = FileLock(self._own_dir("locks") / stripe, mode=0o600)
        try:
            lock.acquire(timeout=LOCK_TIMEOUT_S, poll_interval=LOCK_POLL_S)
        except (Timeout, NotImplementedError) as error:
            raise _no_lock(self._root, key, error) from error
        try:
            yield
        finally:
            lock.release()

    def _describe(self, key: str) -> ListedObject | None:
        info = files.object_info(self._path(key))
        return None if info is None else ListedObject(key, info.st_size, files.time_of(info))

    def _date(self) -> datetime:
        """Return the file system's time."""
        probe = self._own / "clock"
        try:
            os.utime(probe)
        except FileNotFoundError:
            (self._own_dir(".") / probe.name).touch(mode=0o600)
        return files.time_of(probe.stat())

    def _own_dir(self, name: str) -> Path:
        folder = self._own / name
        if not folder.is_dir():
            files.make_dirs(folder)
        self._sweep_once()
        return folder

    def _sweep_once(self) -> None:
        """Remove, at first use, what killed writers left behind more than `LEFTOVER_AGE` ago."""
        with self._sweep_lock:
            if self._swept:
                return
            self._swept = True
        with suppress(OSError):
            long_ago = self._date() - LEFTOVER_AGE
            for leftover in (self._own / "new").iterdir():
                if files.time_of(leftover.stat()) < long_ago:
                    leftover.unlink(missing_ok=True)


def _no_lock(root: Path, key: str, error: Exception) -> StoreRefused | StoreUnavailable:
    if isinstance(error, NotImplementedError):
        return StoreRefused(f"directory store {root}: {files.REFUSALS[errno.ENOSYS]}")
    return StoreUnavailable(f"directory store {root}: another process holds the lock of {key} for too long")
