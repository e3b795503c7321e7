"""The keys of a directory store in the order of S3; only directories that can hold them are read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from attrs import frozen

from cloudq.adapters.object_stores.key_rules import is_valid_part


@frozen
class Walk:
    """The keys under *root* that begin with *prefix* and come after *start_after*.

    With *roll_up*, each directory below the last name of the prefix gives only its first key: a LIST
    with a delimiter shows only that there is one.
    """

    root: Path
    prefix: str
    start_after: str
    roll_up: bool

    def keys(self) -> Iterator[str]:
        """Yield the keys in ascending order, without those that disappear during the walk."""
        base = self.prefix[: self.prefix.rfind("/") + 1]
        parts = base.split("/")[:-1]
        if all(is_valid_part(part, first=place == 0) for place, part in enumerate(parts)):
            yield from self._within(self.root.joinpath(*parts), base)

    def _within(self, folder: Path, base: str) -> Iterator[str]:
        for name in _names(folder, first=not base):
            key = base + name
            if not key.endswith("/"):
                if key.startswith(self.prefix) and key > self.start_after:
                    yield key
            elif self._may_hold_keys(key):
                inner = self._within(folder / name[:-1], key)
                yield from islice(inner, 1) if self.roll_up and key.startswith(self.prefix) else inner

    def _may_hold_keys(self, directory: str) -> bool:
        has_prefix = directory.startswith(self.prefix) or self.prefix.startswith(directory)
        return has_prefix and (self.start_after < directory or self.start_after.startswith(directory))


def _names(folder: Path, *, first: bool) -> list[str]:
    """Return the sorted names in a directory; names of directories end with a slash, which affects the order.

    Python orders text by code points, which is the order of its UTF-8 bytes.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(_name(entry) for entry in entries if is_valid_part(entry.name, first=first))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name
