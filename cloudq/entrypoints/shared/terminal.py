"""What goes to a terminal: talk on stderr, and nothing that could steer the terminal itself.

Whoever can write to the bucket chooses names, notes and error messages: control characters in
them are written out before anybody sees them.
"""

from __future__ import annotations

import codecs
import re
import sys
import unicodedata

import click

_COLOUR_OR_CHAR = re.compile(r"\x1b\[[0-9;]{0,20}m|.", re.DOTALL)
_BEGUN_COLOUR = re.compile(r"\x1b(?:\[[0-9;]{0,20})?\Z")
_LINE_CONTROLS = "\n\t\r"
_RESET = "\x1b[0m"


def printable(text: str) -> str:
    """*text* on one line, control and invisible characters written out."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode()


def tell(text: str, prefix: str = "") -> None:
    """Say something on stderr, each of its lines after *prefix*."""
    for line in text.splitlines() or [""]:
        click.echo(prefix + printable(line), err=True)


def tell_progress(text: str) -> None:
    """Say how long work goes on, if somebody watches."""
    if sys.stderr.isatty():
        tell(text)


def somebody_can_answer() -> bool:
    """Whether a question would reach a person."""
    return sys.stdin.isatty() and sys.stderr.isatty()


_SPANS = ((172_800.0, 86_400.0, "days"), (7_200.0, 3_600.0, "h"), (120.0, 60.0, "min"), (0.0, 1.0, "s"))
"""From how many seconds on a time is told in this unit."""


def span(seconds: float) -> str:
    """A length of time in one number and one unit, rounded down: ``42 min``."""
    return next(f"{int(seconds // unit)} {name}" for least, unit, name in _SPANS if seconds >= least)


def cut(text: str, columns: int) -> str:
    """As much of *text* as fits *columns* of a terminal."""
    while width(text) > columns:
        text = text[:-1]
    return text


def right(text: str, columns: int) -> str:
    """*text* moved right to fill *columns* of a terminal."""
    return " " * (columns - width(text)) + text


def width(text: str) -> int:
    """How many columns *text* takes: East Asian wide characters two, combining ones none."""
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


class LogText:
    """Bytes of a job's log as text for a terminal: colours pass, other control sequences do not.

    A piece may end within a character or a colour; what is incomplete waits for the next piece.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._waiting = ""
        self._has_colours = False

    def feed(self, piece: bytes) -> str:
        """The text of the next piece."""
        text = self._waiting + self._decoder.decode(piece)
        begun = _BEGUN_COLOUR.search(text)
        self._waiting = begun.group() if begun else ""
        return self._clean(text[: len(text) - len(self._waiting)])

    def finish(self) -> str:
        """The rest; colours end here."""
        rest = self._clean(self._waiting + self._decoder.decode(b"", final=True))
        return rest + (_RESET if self._has_colours else "")

    def _clean(self, text: str) -> str:
        if all(line.isprintable() for line in re.split(f"[{_LINE_CONTROLS}]", text)):
            return text
        return _COLOUR_OR_CHAR.sub(self._pass, text)

    def _pass(self, match: re.Match[str]) -> str:
        found = match.group()
        if len(found) > 1:
            self._has_colours = True
            return found
        return found if found in _LINE_CONTROLS else _shown(found)
