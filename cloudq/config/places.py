"""On which line of a TOML file a key stands: the parser of the standard library does not say.

Good enough for messages: what it cannot follow (tables within lines, keys within texts of
several lines) is found at the nearest enclosing key, or nowhere.
"""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*\[{1,2}\s*([^\]]+?)\s*\]{1,2}\s*(?:#.*)?")
_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")
_PARTS = re.compile(_PART)

Path = tuple[str, ...]


def find_lines(text: str) -> dict[Path, int]:
    """The line, counted from 1, of every table and key."""
    found: dict[Path, int] = {}
    table: Path = ()
    inside = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if inside:
            inside = "" if inside in line else inside
            continue
        if header := _HEADER.fullmatch(line):
            table = _split(header[1])
            _note(found, table, number)
        elif key := _KEY.match(line):
            _note(found, table + _split(key[1]), number)
            inside = _opened(line[key.end() :])
    return found


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """The line of *path*, else of what encloses it."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def _note(found: dict[Path, int], path: Path, number: int) -> None:
    """``[a.b]`` is the place of ``a`` too, unless that has one of its own before."""
    for length in range(1, len(path) + 1):
        found.setdefault(path[:length], number)


def _split(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in _PARTS.findall(dotted))


def _opened(value: str) -> str:
    """The quotes of a text that begins in *value* and goes on in the next line."""
    for quotes in ('"""', "'''"):
        if value.lstrip().startswith(quotes) and value.count(quotes) == 1:
            return quotes
    return ""
