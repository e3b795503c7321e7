"""Find the line of each key in a TOML file, which the parser of the standard library does not report.

This is good enough for messages. Keys that it cannot follow (in inline tables, in multi-line strings, or many
tables deep) get the line of the nearest enclosing key, or none. The module is separate because only a message
needs it: compiling the patterns takes longer than reading the file.
"""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*\[{1,2}\s*([^\]]+?)\s*\]{1,2}\s*(?:#.*)?")
_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")
_PARTS = re.compile(_PART)

_MAX_DEPTH = 16
"""A header with thousands of parts would otherwise take memory that grows with their square."""

Path = tuple[str, ...]


def find_lines(text: str) -> dict[Path, int]:
    """Return the line, counted from 1, of every table and key."""
    lines: dict[Path, int] = {}
    table: Path = ()
    inside = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if inside:
            inside = "" if inside in line else inside
            continue
        if header := _HEADER.fullmatch(line):
            table = _split(header[1])
            _note(lines, table, number)
        elif key := _KEY.match(line):
            _note(lines, table + _split(key[1]), number)
            inside = _opened(line[key.end() :])
    return lines


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """Return the line of *path*, else of the nearest table that encloses it, else None."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def _note(lines: dict[Path, int], path: Path, number: int) -> None:
    """Note a line; ``[a.b]`` is the line of ``a`` too, unless ``a`` already has one."""
    for length in range(1, min(len(path), _MAX_DEPTH) + 1):
        lines.setdefault(path[:length], number)


def _split(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in _PARTS.findall(dotted))


def _opened(value: str) -> str:
    """Return the quotes of a multi-line string that begins in *value* and continues in the next line."""
    for quotes in ('"""', "'''"):
        if value.lstrip().startswith(quotes) and value.count(quotes) == 1:
            return quotes
    return ""
