"""Run a command on a terminal of its own, as a person does."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

from attrs import define, field, frozen

WITHIN_S = 60
LINES = 40
PART = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+")


@frozen
class Shown:
    """What a command showed on its terminal, and its exit status."""

    text: str
    status: int

    @property
    def lines(self) -> list[str]:
        return self.text.replace("\r\n", "\n").splitlines()

    @property
    def screen(self) -> list[str]:
        """The lines that stand on the screen in the end: without colours, and without what was erased."""
        return Screen().after(self.text)


@define
class Screen:
    """As much of a terminal as the progress lines and tables of the commands use."""

    rows: list[str] = field(factory=lambda: [""])
    row: int = 0
    column: int = 0

    def after(self, text: str) -> list[str]:
        """Return the lines of the screen after *text*, without blanks at their ends."""
        for part in PART.findall(text):
            self._apply(part)
        while self.rows and not self.rows[-1].strip():
            del self.rows[-1]
        return [row.rstrip() for row in self.rows]

    def _apply(self, part: str) -> None:
        if part == "\r":
            self.column = 0
        elif part == "\n":
            self.row += 1
            if self.row == len(self.rows):
                self.rows.append("")
        elif part.startswith("\x1b"):
            self._control(part[2:-1], part[-1])
        else:
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + part + row[self.column + len(part) :]
            self.column += len(part)

    def _control(self, value: str, name: str) -> None:
        if name == "A":
            self.row = max(0, self.row - int(value or 1))
        elif name == "K":
            self.rows[self.row] = self.rows[self.row][: 0 if value == "2" else self.column]


def on_terminal(environ: Mapping[str, str], *args: str, typed: str = "") -> Shown:
    """Run a Python program with a terminal as stdin, stdout and stderr; *typed* waits to be read there."""
    return run_on_terminal([sys.executable, *args], environ, typed=typed)


def run_on_terminal(
    argv: list[str],
    environ: Mapping[str, str],
    *,
    cwd: Path | None = None,
    columns: int = 80,
    typed: str = "",
) -> Shown:
    """Run any program like that, on a terminal with so many columns."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
    process = subprocess.Popen(
        argv, env=environ, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    text = b""
    while piece := _read(ours):
        text += piece
    os.close(ours)
    return Shown(text.decode(), process.wait(WITHIN_S))


def _read(terminal: int) -> bytes:
    """Return what the terminal shows next; nothing once no process has it any more."""
    try:
        return os.read(terminal, 65_536)
    except OSError as error:
        if error.errno == errno.EIO:
            return b""
        raise
