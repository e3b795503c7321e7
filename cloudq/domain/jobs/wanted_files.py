"""The files of a job that a user wants, by patterns of their paths below the job's directory."""

from __future__ import annotations

from fnmatch import fnmatchcase

from attrs import frozen

OUTPUT = "output"
"""The directory of a job's outputs: a pattern may leave it out."""

_WILD = frozenset("*?[")


@frozen
class WantedFiles:
    """Patterns such as ``*.csv`` or ``output/model/*.pt``; without a pattern, every file is wanted.

    A pattern without a slash is compared with the last part of a path; another one with the whole path, and
    for outputs also with the path below ``output``. A star matches slashes, too.
    """

    patterns: tuple[str, ...] = ()

    def has(self, path: str) -> bool:
        """Return whether the file at *path* is wanted."""
        return not self.patterns or any(_matches(path, pattern) for pattern in self.patterns)

    def may_have_some_in(self, directory: str) -> bool:
        """Return whether a file below *directory* may be wanted."""
        return not self.patterns or any(_may_match_in(directory, pattern) for pattern in self.patterns)


ALL_FILES = WantedFiles()


def _matches(path: str, pattern: str) -> bool:
    last = path.rpartition("/")[2]
    compared = (path, path.removeprefix(f"{OUTPUT}/")) if "/" in pattern else (last,)
    return pattern in compared or any(fnmatchcase(name, pattern) for name in compared)


def _may_match_in(directory: str, pattern: str) -> bool:
    first, slash, _ = pattern.partition("/")
    return not slash or directory in {OUTPUT, first} or not _WILD.isdisjoint(first)
