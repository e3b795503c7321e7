"""Output for a terminal: messages on stderr, without anything that could control the terminal.

Anyone who can write to the bucket chooses names, notes and error messages, so control characters in them are
escaped before they are shown.
"""

from __future__ import annotations

import codecs
import re
import sys
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime

import click

_COLOUR_OR_CHAR = re.compile(r"\x1b\[[0-9;]{0,20}m|.", re.DOTALL)
_BEGUN_COLOUR = re.compile(r"\x1b(?:\[[0-9;]{0,20})?\Z")
_LINE_CONTROLS = "\n\t\r"
_RESET = "\x1b[0m"
_PASSING_COLUMNS = 78
_ERASE = "\r" + " " * _PASSING_COLUMNS + "\r"


def printable(text: str) -> str:
    """Return *text* on one line, with control characters and invisible characters escaped."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode()


def local_time(value: datetime | None) -> str:
    """Return a time in this machine's time zone; on the first and last days of the calendar, in UTC."""
    if value is None:
        return ""
    try:
        value = value.astimezone()
    except (OverflowError, ValueError):  # the local time is in the year 0 or 10000
        value = value.astimezone(UTC)
    return value.strftime("%Y/%m/%d %H:%M:%S")


def show_message(text: str, prefix: str = "") -> None:
    """Print a message on stderr, each of its lines after *prefix*."""
    for line in text.splitlines() or [""]:
        click.echo(prefix + printable(line), err=True)


def show_progress(text: str) -> None:
    """Print a progress message on stderr if it is a terminal."""
    if sys.stderr.isatty():
        show_message(text)


class PassingLine:
    """Progress on one line of a terminal's stderr, which is erased before anything else is printed.

    Elsewhere, nothing is shown.
    """

    def show(self, text: str) -> None:
        """Show *text* in place of what the line showed before."""
        if sys.stderr.isatty():
            click.echo(_ERASE + cut(printable(text), _PASSING_COLUMNS), nl=False, err=True)

    def erase(self) -> None:
        """Leave the line empty, with the cursor at its beginning."""
        if sys.stderr.isatty():
            click.echo(_ERASE, nl=False, err=True)


def can_ask_user() -> bool:
    """Return whether a question would reach a person."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def is_read_by_user() -> bool:
    """Return whether stdout is a terminal."""
    return sys.stdout.isatty()


def cut(text: str, columns: int) -> str:
    """Return as much of *text* as fits into *columns* of a terminal."""
    while width(text) > columns:
        text = text[:-1]
    return text


def right(text: str, columns: int) -> str:
    """Return *text* right-aligned in *columns* of a terminal."""
    return " " * (columns - width(text)) + text


def width(text: str) -> int:
    """Return the number of columns of *text*: East Asian wide characters have two, combining ones none."""
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def copy_to_stdout(pieces: Iterable[bytes]) -> int:
    """Copy a log or a file to stdout as it arrives; return its number of bytes.

    A pipe gets the bytes unchanged; on a terminal, control sequences other than colors are escaped.
    """
    out = sys.stdout.buffer
    text = LogText() if sys.stdout.isatty() else None
    total = 0
    for piece in pieces:
        out.write(piece if text is None else text.feed(piece).encode())
        out.flush()
        total += len(piece)
    if text is not None:
        out.write(text.finish().encode())
    out.flush()
    return total


class LogText:
    """Convert a job's log to text for a terminal: keep colors, escape other control sequences.

    A piece may end within a character or a color sequence; the incomplete part waits for the next piece.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._waiting = ""
        self._has_colours = False

    def feed(self, piece: bytes) -> str:
        """Return the text of the next piece."""
        text = self._waiting + self._decoder.decode(piece)
        begun = _BEGUN_COLOUR.search(text)
        self._waiting = begun.group() if begun else ""
        return self._clean(text[: len(text) - len(self._waiting)])

    def finish(self) -> str:
        """Return the rest of the text, and reset the colors."""
        text = self._clean(self._waiting + self._decoder.decode(b"", final=True))
        return text + (_RESET if self._has_colours else "")

    def _clean(self, text: str) -> str:
        if all(line.isprintable() for line in re.split(f"[{_LINE_CONTROLS}]", text)):
            return text
        return _COLOUR_OR_CHAR.sub(self._pass, text)

    def _pass(self, match: re.Match[str]) -> str:
        piece = match.group()
        if len(piece) > 1:
            self._has_colours = True
            return piece
        return piece if piece in _LINE_CONTROLS else _shown(piece)
