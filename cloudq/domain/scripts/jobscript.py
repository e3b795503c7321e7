"""A jobscript as users submit it, and its problems."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import file_name_problem

MAX_SCRIPT_BYTES = 4 * 1024 * 1024
"""Slurm's default limit for a batch script."""

META = "meta"
"""The type, in a manifest, of a script that is converted where it runs."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@frozen
class Jobscript:
    """The name of a jobscript and its exact bytes, which are run unchanged."""

    name: str
    body: bytes

    @classmethod
    def checked(cls, name: str, body: bytes) -> Jobscript:
        """Return a script that can be run; raise `InvalidInput` with all problems."""
        if problems := script_problems(name, body):
            raise InvalidInput(problems)
        return cls(name, body)

    @property
    def has_shebang(self) -> bool:
        """Return whether the script names its own interpreter; otherwise, /bin/bash runs it."""
        return self.body.startswith(b"#!")


def script_problems(name: str, body: bytes) -> list[str]:
    """Return everything that keeps a script from being submitted, each problem with its place."""
    problem = file_name_problem(name)
    shown = "the script" if problem else name  # a bad name may contain anything, even line breaks
    named = [f"script name {problem}"] if problem else []
    return named + [f"{shown}{text}" for text in _body_problems(body)]


def _body_problems(body: bytes) -> Iterator[str]:
    if not body.strip():
        yield ": the script is empty"
    if len(body) > MAX_SCRIPT_BYTES:
        yield f": larger than {MAX_SCRIPT_BYTES // 2**20} MiB; send data as inputs"
    if b"\0" in body:
        yield ": has NUL bytes in it: this is not a script"
    if body.startswith(_BYTE_ORDER_MARK):
        yield " line 1: begins with a byte order mark, which hides the #! line; save the file without it"
    crlf = body.find(b"\r\n")
    if crlf >= 0 or body.endswith(b"\r"):
        number = body.count(b"\n", 0, crlf if crlf >= 0 else len(body)) + 1
        yield (
            f" line {number}: Windows line end (CRLF), which breaks the script on Linux; "
            "convert the file, for example with: sed -i 's/\\r$//' FILE"
        )
