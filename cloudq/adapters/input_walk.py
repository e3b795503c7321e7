"""The contents of an input: links to files and directories are followed, but not in a circle."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from cloudq.adapters.left_out import LeftOut, kind_in_words
from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import on_one_line

_Identity = tuple[int, int]


@frozen
class FoundInput:
    """A file or a directory that is included."""

    path: str
    name: str
    """The path in the archive, with slashes."""
    info: os.stat_result

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.info.st_mode)


@frozen
class InputWalk:
    """Everything under the file or directory *root*, which is called *name* in the archive.

    Files that cannot be included are noted: links that lead nowhere or in a circle, sockets, fifos,
    devices.
    """

    root: Path
    name: str
    left_out: LeftOut

    def inputs(self) -> Iterator[FoundInput]:
        """Yield what is included, each directory before its contents. Raises `InvalidInput`."""
        to_enter: list[tuple[str, str, frozenset[_Identity]]] = [(str(self.root), self.name, frozenset())]
        while to_enter:
            path, name, above = to_enter.pop()
            try:
                info = os.stat(path)  # noqa: PTH116 (names are kept as they are)
            except OSError as error:
                self.left_out.note(name, _why_not(path, error))
                continue
            here = (info.st_dev, info.st_ino)
            if stat.S_ISREG(info.st_mode):
                yield FoundInput(path, name, info)
            elif not stat.S_ISDIR(info.st_mode):
                self.left_out.note(name, kind_in_words(info.st_mode))
            elif here in above:
                self.left_out.note(name, "a link to a directory that contains it")
            else:
                yield FoundInput(path, name, info)
                inside = sorted(_listed(path), reverse=True)
                to_enter += [(f"{path}/{child}", f"{name}/{child}", above | {here}) for child in inside]


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)  # noqa: PTH208 (only names are needed)
    except OSError as error:
        raise InvalidInput(f"input {on_one_line(path)}: cannot be read: {error.strerror or error}") from error


def _why_not(path: str, error: OSError) -> str:
    if os.path.islink(path):  # noqa: PTH114
        return f"a broken link: {error.strerror or error}"
    return error.strerror or str(error)
