"""Copy one or many files between a bucket and a directory, or between buckets, for `abci_cs_cp`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from attrs import frozen

from cloudq.domain.errors import InvalidInput, ObjectNotFound
from cloudq.domain.stores.copy_places import (
    LocalPlace,
    ObjectPlace,
    Place,
    checked_key,
    local_name,
    local_names,
)
from cloudq.ports.local_files import LocalFiles
from cloudq.ports.object_store import ObjectStore, pages
from cloudq.ports.workers import Workers

T = TypeVar("T")

AT_ONCE = 256
"""The number of copies to begin before checking whether one of them failed."""


@frozen
class CopyObjects:
    """Copy a file, an object, or all below a directory or prefix; existing targets are replaced.

    A name without a slash at its end is an object if there is one, else a prefix. All names are checked
    before the first copy.
    """

    open_bucket: Callable[[str], ObjectStore]
    files: LocalFiles
    workers: Workers
    report: Callable[[int, int], None]
    """Called from any thread with the numbers of files finished and bytes transferred since the last call."""

    def __call__(self, source: Place, target: Place) -> None:
        """Copy *source* to *target*.

        Raises `ObjectNotFound` or `InvalidInput` if there is no *source*, `RecordRejected` for keys that no
        file below *target* may have, and the errors of stores and files.
        """
        match source, target:
            case LocalPlace(), ObjectPlace():
                self._upload(source, target)
            case ObjectPlace(), LocalPlace():
                self._download(source, target)
            case ObjectPlace(), ObjectPlace():
                self._copy(source, target)
            case _:
                raise InvalidInput(
                    "neither source nor target is in a bucket: write s3://bucket/key, or use cp"
                )

    # From files to a bucket --------------------------------------------------------------------

    def _upload(self, source: LocalPlace, target: ObjectPlace) -> None:
        path, store = Path(source.path), self.open_bucket(target.bucket)
        if self.files.is_directory(path):
            names = self.files.below(path)
            keys = [checked_key(target.prefix + name) for name in names]
            self._in_batches(
                zip(names, keys, strict=True), lambda pair: self._put(store, path / pair[0], pair[1])
            )
        elif self.files.is_file(path) and not source.is_directory:
            key = target.prefix + path.name if target.is_prefix else target.key
            self._put(store, path, checked_key(key))
        else:
            raise InvalidInput(f"{source}: no such file or directory")

    def _put(self, store: ObjectStore, path: Path, key: str) -> None:
        store.upload(key, path)
        self.report(1, self.files.size(path))

    # From a bucket to files --------------------------------------------------------------------

    def _download(self, source: ObjectPlace, target: LocalPlace) -> None:
        path, store = Path(target.path), self.open_bucket(source.bucket)
        is_directory = target.is_directory or self.files.is_directory(path)
        if not source.is_prefix:
            try:
                self._get(store, source.key, path / local_name(source.key) if is_directory else path)
            except ObjectNotFound:
                pass  # it may be a prefix of existing objects
            else:
                return
        names = local_names(self._below(store, source), source.prefix)
        if self.files.is_file(path):
            raise InvalidInput(f"{target} is a file, but {source} has several files")
        self._in_batches(names.items(), lambda pair: self._get(store, pair[0], path / pair[1]))

    def _get(self, store: ObjectStore, key: str, path: Path) -> None:
        self.files.write(path, self._reported(store.read(key)))
        self.report(1, 0)

    def _reported(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.report(0, len(piece))
            yield piece

    # From a bucket to a bucket -----------------------------------------------------------------

    def _copy(self, source: ObjectPlace, target: ObjectPlace) -> None:
        here, there = self.open_bucket(source.bucket), self.open_bucket(target.bucket)
        if not source.is_prefix:
            name = source.key.rpartition("/")[2]
            key = target.prefix + name if target.is_prefix else target.key
            try:
                self._pass_on(here, source.key, there, checked_key(key))
            except ObjectNotFound:
                pass
            else:
                return
        pairs = [
            (key, checked_key(target.prefix + key[len(source.prefix) :]))
            for key in self._below(here, source)
            if not key.endswith("/")
        ]
        self._in_batches(pairs, lambda pair: self._pass_on(here, pair[0], there, pair[1]))

    def _pass_on(self, here: ObjectStore, key: str, there: ObjectStore, new_key: str) -> None:
        with self.files.scratch() as path:
            here.download(key, path)
            self._put(there, path, new_key)

    # Shared steps ------------------------------------------------------------------------------

    def _below(self, store: ObjectStore, source: ObjectPlace) -> list[str]:
        keys = [listed.key for page in pages(store, source.prefix) for listed in page.objects]
        if not keys:
            raise ObjectNotFound(str(source))
        return keys

    def _in_batches(self, items: Iterable[T], work: Callable[[T], None]) -> None:
        remaining = iter(items)
        while batch := tuple(islice(remaining, AT_ONCE)):
            if len(batch) == 1:  # in this thread, where an interrupt stops it at once
                work(batch[0])
            else:
                self.workers.map(work, batch)
