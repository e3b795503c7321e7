"""The files of the work directory that a job's owner wants back, as patterns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from attrs import field, frozen

from cloudq.domain.errors import InvalidInput

MAX_PATTERNS = 100
MAX_CHARS = 1_000
ANY_DEPTH = "**"


def pattern_problem(pattern: str) -> str | None:
    """Return why *pattern* does not name files of a work directory, or None if it does."""
    if not pattern.isprintable() or len(pattern) > MAX_CHARS:
        return f"output {pattern[:60]!r} has a control character in it, or more than {MAX_CHARS} characters"
    path = PurePosixPath(pattern)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return f"output {pattern!r} is not below the work directory: give a path or pattern relative to it"
    return None


def checked_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return *patterns* without repetitions. Raises `InvalidInput` with all problems."""
    chosen = tuple(dict.fromkeys(patterns))
    problems = [problem for pattern in chosen if (problem := pattern_problem(pattern))]
    if len(chosen) > MAX_PATTERNS:
        problems.append(f"{len(chosen)} output patterns: {MAX_PATTERNS} at most")
    if problems:
        raise InvalidInput(problems)
    return chosen


@frozen
class OutputFilter:
    """A test whether a path, relative to the work directory, is an output that the owner wants.

    Without patterns, every path is. ``*`` and ``?`` match within one part of a path, ``**`` any number of
    parts; a directory that matches includes everything in it.
    """

    patterns: Sequence[str] = ()
    _parts: tuple[tuple[str, ...], ...] = field(init=False)

    @_parts.default
    def _split(self) -> tuple[tuple[str, ...], ...]:
        return tuple(PurePosixPath(pattern).parts for pattern in self.patterns)

    def __call__(self, path: str) -> bool:
        """Return whether *path* is wanted."""
        names = path.split("/")
        return not self._parts or any(_matches(parts, names) for parts in self._parts)


def _matches(parts: tuple[str, ...], names: Sequence[str]) -> bool:
    """Return whether *parts* match *names* or a directory above.

    All places in the pattern are followed at once, so that no pattern takes long.
    """
    places = _entered({0}, parts)
    for name in names:
        if len(parts) in places:
            return True
        after = {place for place in places if parts[place] == ANY_DEPTH}
        after |= {place + 1 for place in places - after if fnmatchcase(name, parts[place])}
        places = _entered(after, parts)
    return len(parts) in places


def _entered(places: set[int], parts: tuple[str, ...]) -> set[int]:
    """Return *places* with those that are reached because ``**`` may match nothing."""
    reached = set(places)
    for place, part in enumerate(parts):
        if place in reached and part == ANY_DEPTH:
            reached.add(place + 1)
    return reached
