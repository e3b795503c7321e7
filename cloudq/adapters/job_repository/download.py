"""Downloads into a directory, which appears complete or not at all, or to which missing files are added."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from attrs import define, field, frozen

from cloudq.adapters.filesystem import is_full
from cloudq.domain.errors import InvalidInput, ObjectNotFound, StoreRefused
from cloudq.domain.names import checked_file_name
from cloudq.ports.job_repository import Downloaded
from cloudq.ports.object_store import ObjectStore


@frozen
class Sized:
    """The key of an object, and its size in bytes if that is known; 0 if it is not, or if it is small."""

    key: str
    size: int = 0


@define
class DownloadDirectory:
    """Download *files* and *archives*, objects by file name, into a directory."""

    store: ObjectStore
    files: Mapping[str, Sized]
    archives: Mapping[str, Sized]
    note: Callable[[int, int], object]
    """Called with the number of bytes so far, and in all, after each piece."""
    _done: int = field(default=0, init=False)
    """The bytes of the objects that are complete."""

    def __call__(
        self, into: Path, nonce: str, finish: Callable[[Path], None], *, completes: bool
    ) -> Downloaded:
        """Download into the new directory *into*; if it *completes* an existing one, add what is missing.

        The files go to a directory beside it first, where *finish* processes them: a failed download leaves
        nothing behind, so it can be repeated. Archives come last, and one that cannot be downloaded does not
        affect the rest. Raises `InvalidInput` if *into* exists or cannot be made.
        """
        names = {name: _name_within(into, name) for name in (*self.files, *self.archives)}
        if not completes and os.path.lexists(into):
            raise InvalidInput(f"{into} exists already; nothing was overwritten")
        part = into.with_name(f".{into.name}.{nonce}")
        try:
            part.mkdir(parents=True)
            for name, source in self.files.items():
                self._download(source, part / name)
            problems = tuple(self._problems_with_archives(part))
            written = [into / name for name in names if (part / name).exists()]
            finish(part)
            if completes and os.path.lexists(into):
                _add_missing(part, into)
            else:
                part.rename(into)
        except OSError as error:
            raise InvalidInput(f"cannot write {error.filename or into}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return Downloaded(written, problems)

    def _download(self, source: Sized, target: Path) -> None:
        total = sum(one.size for one in (*self.files.values(), *self.archives.values()))

        def note(done: int) -> None:
            self.note(self._done + done, max(total, self._done + done))

        self._done += self.store.download(source.key, target, note=note)

    def _problems_with_archives(self, part: Path) -> Iterator[str]:
        """Download those archives that can be downloaded; yield the problems with the others."""
        for name, source in self.archives.items():
            try:
                self._download(source, part / name)
            except ObjectNotFound:
                yield f"{name}: {source.key} is no longer in the store"
            except StoreRefused as error:
                yield f"{name}: {error}"
            except OSError as error:
                if not is_full(error):
                    raise
                yield f"{name}: not enough space for it here; stage out to another place"


def _add_missing(source: Path, target: Path) -> None:
    """Move everything from *source* that *target* lacks; links there are not followed."""
    for entry in sorted(source.iterdir()):
        there = target / entry.name
        if not os.path.lexists(there):
            entry.rename(there)
        elif entry.is_dir() and there.is_dir() and not (entry.is_symlink() or there.is_symlink()):
            _add_missing(entry, there)


def _name_within(into: Path, name: str) -> str:
    """Return *name*. Raises `InvalidInput` if it leads out of *into* (as ``C:x`` does on Windows)."""
    if (into / checked_file_name(name)).parent != into:
        raise InvalidInput(f"{name!r} is not a file name on this system")
    return name
