"""A jobscript as users hand it in: what is wrong with it, and its scheduler directives."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import file_name_problem

MAX_SCRIPT_BYTES = 4 * 1024 * 1024
"""Slurm's own default limit of a batch script."""

META = "meta"
"""What a manifest calls the script of a job that is converted where it runs."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@frozen
class Jobscript:
    """A jobscript's name and its very bytes, which are run unchanged."""

    name: str
    body: bytes

    @classmethod
    def checked(cls, name: str, body: bytes) -> Jobscript:
        """A script that can be run; raises `InvalidInput` with all that is wrong with it."""
        if problems := script_problems(name, body):
            raise InvalidInput(problems)
        return cls(name, body)

    @property
    def has_shebang(self) -> bool:
        """Whether it names its own interpreter; /bin/bash runs it otherwise."""
        return self.body.startswith(b"#!")

    def directives(
        self,
        *prefixes: str,
        anywhere: bool = False,
        indented: bool = False,
        passed_over: str = "",
        continued: bool = False,
    ) -> tuple[str, ...]:
        """Header lines that begin with one of *prefixes*, up to the first command, as they stand.

        Slurm and PBS stop reading options at the first line that is neither blank nor a comment;
        PBS also reads those that are *indented*, which come without their blanks, reads on after lines
        that begin with the character *passed_over*, and joins lines that are *continued* by a backslash.
        Grid Engine reads them *anywhere* in the script.
        """
        found = []
        lines = iter(self.body.decode(errors="replace").split("\n"))
        for line in lines:
            stripped = line.strip()
            if (stripped if indented else line).startswith(prefixes):
                found.append(_joined(stripped, lines) if continued else stripped)
            elif passed_over and line.startswith(passed_over):
                continue
            elif stripped and not stripped.startswith("#") and not anywhere:
                break
        return tuple(found)


def _joined(line: str, following: Iterator[str]) -> str:
    """*line* with those *following* that it asks for by a backslash at its end."""
    while line.endswith("\\"):
        line = (line[:-1] + next(following, "")).rstrip()
    return line


def script_problems(name: str, body: bytes) -> list[str]:
    """All that keeps a script from being submitted, each with its place."""
    problem = file_name_problem(name)
    shown = "the script" if problem else name  # a bad name may hold anything, line breaks too
    named = [f"script name {problem}"] if problem else []
    return named + [f"{shown}{text}" for text in _body_problems(body)]


def _body_problems(body: bytes) -> Iterator[str]:
    if not body.strip():
        yield ": the script is empty"
    if len(body) > MAX_SCRIPT_BYTES:
        yield f": larger than {MAX_SCRIPT_BYTES // 2**20} MiB; send data with --input"
    if b"\0" in body:
        yield ": has NUL bytes in it: this is not a script"
    if body.startswith(_BYTE_ORDER_MARK):
        yield " line 1: begins with a byte order mark, which hides the #! line; save it without"
    crlf = body.find(b"\r\n")
    if crlf >= 0 or body.endswith(b"\r"):
        number = body.count(b"\n", 0, crlf if crlf >= 0 else len(body)) + 1
        yield (
            f" line {number}: Windows line end (CRLF), which no interpreter here understands; "
            "convert the file, for example with: sed -i 's/\\r$//' FILE"
        )
