"""A jobscript as users hand it in: what is wrong with it, and its scheduler directives."""

from __future__ import annotations

from attrs import frozen

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import file_name_problem

MAX_SCRIPT_BYTES = 4 * 1024 * 1024
"""Slurm's own default limit of a batch script."""


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

    def directives(self, prefix: str) -> tuple[str, ...]:
        """Header lines that begin with *prefix*, up to the first command, as they stand.

        Slurm stops reading options at the first line that is neither blank nor a comment.
        """
        found = []
        for line in self.body.decode(errors="replace").splitlines():
            stripped = line.strip()
            if stripped and not stripped.startswith("#"):
                break
            if line.startswith(prefix):
                found.append(line.rstrip())
        return tuple(found)


def script_problems(name: str, body: bytes) -> list[str]:
    """All that keeps a script from being submitted, each with its place."""
    problems = []
    if problem := file_name_problem(name):
        problems.append(f"script name {problem}")
    if not body.strip():
        problems.append(f"{name}: the script is empty")
    if len(body) > MAX_SCRIPT_BYTES:
        problems.append(f"{name}: larger than {MAX_SCRIPT_BYTES // 2**20} MiB; send data with --input")
    if b"\0" in body:
        problems.append(f"{name}: has NUL bytes in it: this is not a script")
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line.endswith(b"\r"):
            problems.append(
                f"{name} line {number}: Windows line end (CRLF), which no interpreter here understands; "
                "convert the file, for example with: sed -i 's/\\r$//' FILE"
            )
            break
    return problems
