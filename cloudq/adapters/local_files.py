"""Files of the user who runs a command, written completely or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

from attrs import define, field, frozen

from cloudq.adapters.filesystem import as_workspace_problem
from cloudq.domain.names import on_one_line
from cloudq.domain.problems import Problems

UNFINISHED = ".cloudq-part-"
"""The beginning of a file's name while it is written."""


class Stopped(Exception):
    """The error that ends the writing of a file that is no longer wanted."""


@frozen
class DiskFiles:
    """The port `LocalFiles` on file systems. Safe to use in threads."""

    _stopped: threading.Event = field(factory=threading.Event, init=False, repr=False)

    def is_file(self, path: Path) -> bool:
        return path.is_file()

    def is_directory(self, path: Path) -> bool:
        return path.is_dir()

    def size(self, path: Path) -> int:
        return path.stat().st_size

    def below(self, directory: Path) -> tuple[str, ...]:
        walk = _Walk(str(directory))
        walk.run()
        walk.problems.raise_if_any()
        return tuple(sorted(walk.files))

    def write(self, target: Path, pieces: Iterator[bytes]) -> None:
        first = next(pieces, b"")  # an absent object must not leave an empty file
        with as_workspace_problem(f"write {on_one_line(target)}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_name(f"{UNFINISHED}{os.urandom(8).hex()}")
            try:
                with unfinished.open("xb") as file:
                    file.writelines(self._until_stopped(chain((first,), pieces)))
                unfinished.replace(target)
            finally:
                with suppress(FileNotFoundError):
                    unfinished.unlink()

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        with as_workspace_problem("make a temporary directory"):
            folder = tempfile.TemporaryDirectory(prefix="cloudq-")
        with folder as name:
            yield Path(name) / "object"

    def stop(self) -> None:
        self._stopped.set()

    def _until_stopped(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if self._stopped.is_set():
                raise Stopped
            yield piece


_Identity = tuple[int, int]


@define
class _Walk:
    """A walk through a directory that follows links, but not in a circle."""

    root: str
    files: list[str] = field(factory=list)
    problems: Problems = field(factory=Problems)
    _to_enter: list[tuple[str, frozenset[_Identity]]] = field(factory=lambda: [("", frozenset())])

    def run(self) -> None:
        while self._to_enter:
            relative, above = self._to_enter.pop()
            try:
                self._enter(relative, above)
            except OSError as error:
                self._refuse(relative, error.strerror or str(error))

    def _enter(self, relative: str, above: frozenset[_Identity]) -> None:
        path = os.path.join(self.root, relative)  # noqa: PTH118 (names are kept as they are)
        info = os.stat(path)  # noqa: PTH116
        here = (info.st_dev, info.st_ino)
        if here in above:
            self._refuse(relative, "a link to a directory that contains it")
            return
        with os.scandir(path) as entries:
            for entry in entries:
                name = f"{relative}/{entry.name}" if relative else entry.name
                try:
                    self._look_at(name, entry.stat().st_mode, above | {here})
                except OSError as error:
                    self._refuse(name, error.strerror or str(error))

    def _look_at(self, relative: str, mode: int, above: frozenset[_Identity]) -> None:
        if stat.S_ISDIR(mode):
            self._to_enter.append((relative, above))
        elif not stat.S_ISREG(mode):
            self._refuse(relative, "neither a file nor a directory")
        elif not relative.rpartition("/")[2].startswith(UNFINISHED):
            self.files.append(relative)

    def _refuse(self, relative: str, problem: str) -> None:
        self.problems.add(f"{on_one_line(Path(self.root, relative))}: {problem}")
