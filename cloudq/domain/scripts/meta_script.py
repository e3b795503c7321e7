"""A meta jobscript: what its head asks for, on whichever system it will run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import file_name_problem
from cloudq.domain.scripts.directive import (
    DIRECTIVES,
    MANDATORY,
    MAX_IMAGES,
    MAX_VALUE_CHARS,
    HeaderLine,
    header_lines,
    marked_lines,
    suggestion,
)
from cloudq.domain.scripts.jobscript import script_problems
from cloudq.domain.scripts.walltime import Walltime

DEFAULT_INTERPRETER = "/bin/bash"

_OF_SCHEDULERS = (b"#SBATCH", b"#PBS", b"#LOCAL ")
_LATE = re.compile(rb"^[ \t]*#\$[ \t]*(%b)[ \t]*:" % "|".join(DIRECTIVES).encode(), re.MULTILINE)


@frozen(kw_only=True)
class MetaScript:
    """A script with parsed directives; *body* contains the bytes that its author wrote."""

    name: str
    body: bytes
    project: str
    resource: str
    n_resource: int
    run_on: str = ""
    walltime: Walltime | None = None
    other_opts: tuple[str, ...] = ()
    container_imgs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """Notes for the author; none of them keeps the script from running."""

    @classmethod
    def parse(cls, name: str, body: bytes) -> MetaScript:
        """Parse a script; raise `InvalidInput` with every problem and its line."""
        shown = "the script" if file_name_problem(name) else name
        reading = _Reading(shown)
        for line in marked_lines(body):
            reading.add(line)
        problems = [*script_problems(name, body), *reading.problems, *reading.missing()]
        if problems:
            raise InvalidInput(problems)
        imgs = tuple(reading.values.pop("container_img", ()))
        warnings = (*reading.warnings, *_useless_lines(shown, body))
        return cls(name=name, body=body, container_imgs=imgs, warnings=warnings, **reading.values)

    @property
    def has_shebang(self) -> bool:
        """Return whether the script names its own interpreter."""
        return self.body.startswith(b"#!")

    @property
    def interpreter(self) -> str:
        """The interpreter that the first line names; `DEFAULT_INTERPRETER` if it names none."""
        if not self.has_shebang:
            return DEFAULT_INTERPRETER
        return self.body[2:].split(b"\n", 1)[0].strip().decode(errors="replace")

    @property
    def plain_body(self) -> bytes:
        """The script with an empty line in place of each directive, so that line numbers stay the same."""
        numbers = {line.number for line in marked_lines(self.body)}
        if not numbers:
            return self.body
        lines = self.body.split(b"\n")
        for number in numbers:
            lines[number - 1] = b""
        return b"\n".join(lines)


class _Reading:
    """Values, problems and warnings as they are collected line by line."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.values: dict[str, Any] = {}
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._lines: dict[str, int] = {}

    def add(self, line: HeaderLine) -> None:
        """Read one line that begins with ``#$``."""
        spec = DIRECTIVES.get(line.key)
        if spec is None:
            self.problems.append(f"{self._place(line)}: {_unreadable(line)}")
        elif line.key in self._lines and not spec.is_repeatable:
            first = self._lines[line.key]
            self.problems.append(f"{self._place(line)}: {line.key} is already set in line {first}")
        else:
            self._lines.setdefault(line.key, line.number)
            self._add_value(line)

    def missing(self) -> Iterator[str]:
        """Yield a problem for each mandatory directive that no line names."""
        for name in MANDATORY:
            if name not in self._lines:
                yield f"{self.shown}: missing line '#$ {name}: …': the directive {name} is mandatory"

    def _add_value(self, line: HeaderLine) -> None:
        spec = DIRECTIVES[line.key]
        try:
            _check_text(line)
            value = spec.read(line.value)
        except InvalidInput as error:
            self.problems.extend(
                f"{self._place(line)}: {line.key}: {text.removeprefix(f'{line.key} ')}"
                for text in error.problems
            )
            return
        if not spec.is_repeatable:
            self.values[line.key] = value
        elif len(kept := self.values.setdefault(line.key, [])) < MAX_IMAGES:
            kept.append(value)
        else:
            self.problems.append(f"{self._place(line)}: more than {MAX_IMAGES} lines of {line.key}")
        if line.key == "run_on" and value != line.value:
            self.warnings.append(f"{self._place(line)}: names of systems are lower case: using {value}")

    def _place(self, line: HeaderLine) -> str:
        return f"{self.shown} line {line.number}"


def _check_text(line: HeaderLine) -> None:
    if not line.value:
        raise InvalidInput("has no value")
    if len(line.value) > MAX_VALUE_CHARS:
        raise InvalidInput(f"is longer than {MAX_VALUE_CHARS} characters")
    if "\N{REPLACEMENT CHARACTER}" in line.value:
        raise InvalidInput("is not UTF-8 text")


def _unreadable(line: HeaderLine) -> str:
    if line.key:
        return f"unknown directive {line.key}{suggestion(line.key)}"
    shown = line.text if len(line.text) <= 60 else f"{line.text[:60]}…"
    if line.text.removeprefix("#$").lstrip().startswith("-"):
        return (
            f"{shown!r} is an option of Grid Engine, which a meta jobscript cannot contain: use a "
            "directive such as walltime, or other_opts"
        )
    return f"{shown!r} is not a directive: write '#$ key: value'"


def _useless_lines(shown: str, body: bytes) -> Iterator[str]:
    """Yield warnings about lines that look like requests but have no effect."""
    end = 0
    for number, line in header_lines(body):
        end += len(line) + 1
        if line.startswith(_OF_SCHEDULERS):
            word = line.split(maxsplit=1)[0].decode()
            yield f"{shown} line {number}: {word} has no effect in a meta jobscript: use directives"
    for match in _LATE.finditer(body, min(end, len(body))):
        number = body.count(b"\n", 0, match.start()) + 1
        key = match[1].decode()
        yield f"{shown} line {number}: {key} comes after the first command and has no effect there"
        break
