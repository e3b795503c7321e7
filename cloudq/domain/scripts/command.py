"""A command in place of a jobscript."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from shlex import quote

from attrs import field, frozen

from cloudq.domain.errors import InvalidInput, VariableBeforeCommand
from cloudq.domain.scripts.jobscript import Jobscript

SCRIPT_NAME = "command.sh"
"""The file of the script; it is not that of the command, which may be an input of the job."""

_ESCAPES = {"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r"}
"""What bash reads as one character within ``$'…'``."""

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)


def _as_tuple(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(words)


@frozen
class Command:
    """A command and its arguments, which a script of cloudq's own runs."""

    words: tuple[str, ...] = field(converter=_as_tuple)

    @property
    def name(self) -> str:
        """The file name of the command, which is the name of the job."""
        return PurePosixPath(self.words[0]).name if self.words else ""

    def script(self) -> Jobscript:
        """Return the script; its own arguments follow those of the command. Raises `InvalidInput`."""
        if not self.name:
            raise InvalidInput("the command is empty")
        if any("\0" in word for word in self.words):
            raise InvalidInput("the command has a NUL character in it")
        if _ASSIGNMENT.fullmatch(self.words[0]):
            problem = f"{self.words[0]!r} is not a command: pass variables as the environment of the job"
            raise InvalidInput([VariableBeforeCommand(problem)])
        try:
            body = f'#!/bin/bash\nexec {" ".join(map(on_one_line, self.words))} "$@"\n'.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput("the command is not valid UTF-8") from error
        return Jobscript.checked(SCRIPT_NAME, body)


def on_one_line(word: str) -> str:
    """Return *word* quoted for bash on one line: schedulers look for options at the beginning of lines."""
    if word.isprintable():
        return quote(word)
    escaped = "".join(_ESCAPES.get(char, char) for char in word)
    return f"$'{escaped}'"
