"""Run a command on a terminal of its own, as a person does."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Mapping

from attrs import frozen

WITHIN_S = 60


@frozen
class Shown:
    """What a command showed on its terminal, and its exit status."""

    text: str
    status: int

    @property
    def lines(self) -> list[str]:
        return self.text.replace("\r\n", "\n").splitlines()


def on_terminal(environ: Mapping[str, str], *args: str, typed: str = "") -> Shown:
    """Run a Python program with a terminal as stdin, stdout and stderr; *typed* waits to be read there."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, *args],
        env=environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
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
