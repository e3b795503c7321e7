"""A meta jobscript: what its head asks for, on whichever system it will run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import file_name_problem
from cloudq.domain.problems import Problems
from cloudq.domain.scripts.directive import (
    MANDATORY,
    MAX_IMAGES,
    MAX_VALUE_CHARS,
    RULES,
    Directive,
    head_lines,
    marked_lines,
    suggestion,
)
from cloudq.domain.scripts.jobscript import Jobscript, script_problems
from cloudq.domain.scripts.walltime import Walltime

DEFAULT_INTERPRETER = "/bin/bash"

_OF_SCHEDULERS = (b"#SBATCH", b"#PBS", b"#LOCAL ")
_LATE = re.compile(rb"^[ \t]*#\$[ \t]*(%b)[ \t]*:" % "|".join(RULES).encode(), re.MULTILINE)


@frozen(kw_only=True)
class MetaScript(Jobscript):
    """A script with parsed directives; *body* contains the bytes that its author wrote."""

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
        for number, line in marked_lines(body):
            reading.add(number, line)
        problems = Problems()
        problems.extend((*script_problems(name, body), *reading.problems, *reading.missing()))
        problems.raise_if_any()
        imgs = tuple(reading.values.pop("container_img", ()))
        warnings = (*reading.warnings, *_useless_lines(shown, body))
        return cls(name=name, body=body, container_imgs=imgs, warnings=warnings, **reading.values)

    @property
    def interpreter(self) -> str:
        """The interpreter that the first line names; `DEFAULT_INTERPRETER` if it names none."""
        if not self.has_shebang:
            return DEFAULT_INTERPRETER
        return self.body[2:].split(b"\n", 1)[0].strip().decode(errors="replace")

    @property
    def plain_body(self) -> bytes:
        """The script with an empty line in place of each directive, so that line numbers stay the same."""
        lines = self.body.split(b"\n")
        for number, _ in marked_lines(self.body):
            lines[number - 1] = b""
        return b"\n".join(lines)


class _Reading:
    """Values, problems and warnings as they are collected line by line."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.values: dict[str, Any] = {}
        self.problems = Problems()
        self.warnings: list[str] = []
        self._lines: dict[str, int] = {}

    def add(self, number: int, line: str) -> None:
        """Read one line that begins with ``#$``."""
        directive = Directive.parse(number, line)
        if directive is None:
            self._reject(number, _why_no_directive(line))
        elif directive.key not in RULES:
            self._reject(number, f"unknown directive {directive.key}{suggestion(directive.key)}")
        elif directive.key in self._lines and not RULES[directive.key].is_repeatable:
            first = self._lines[directive.key]
            self._reject(number, f"{directive.key} is already set in line {first}")
        else:
            self._lines.setdefault(directive.key, number)
            self._add_value(directive)

    def missing(self) -> Iterator[str]:
        """Yield a problem for each mandatory directive that no line names."""
        for name in MANDATORY:
            if name not in self._lines:
                yield f"{self.shown}: missing line '#$ {name}: …': the directive {name} is mandatory"

    def _add_value(self, directive: Directive) -> None:
        rule, key, number = RULES[directive.key], directive.key, directive.number
        try:
            _check_text(directive.value)
            value = rule.read(directive.value)
        except InvalidInput as error:
            for problem in error.problems:
                self._reject(number, f"{key}: {problem.removeprefix(f'{key} ')}")
            return
        if not rule.is_repeatable:
            self.values[key] = value
        elif len(kept := self.values.setdefault(key, [])) < MAX_IMAGES:
            kept.append(value)
        else:
            self._reject(number, f"more than {MAX_IMAGES} lines of {key}")
        if key == "run_on" and value != directive.value:
            self.warnings.append(
                f"{self.shown} line {number}: names of systems are lower case: using {value}"
            )

    def _reject(self, number: int, problem: str) -> None:
        self.problems.add(f"{self.shown} line {number}: {problem}")


def _check_text(value: str) -> None:
    if not value:
        raise InvalidInput("has no value")
    if len(value) > MAX_VALUE_CHARS:
        raise InvalidInput(f"is longer than {MAX_VALUE_CHARS} characters")
    if "\N{REPLACEMENT CHARACTER}" in value:
        raise InvalidInput("is not UTF-8 text")


def _why_no_directive(line: str) -> str:
    shown = line if len(line) <= 60 else f"{line[:60]}…"
    if line.removeprefix("#$").lstrip().startswith("-"):
        return (
            f"{shown!r} is an option of Grid Engine, which a meta jobscript cannot contain: use a "
            "directive such as walltime, or other_opts"
        )
    return f"{shown!r} is not a directive: write '#$ key: value'"


def _useless_lines(shown: str, body: bytes) -> Iterator[str]:
    """Yield warnings about lines that look like requests but have no effect."""
    end = 0
    for number, line in head_lines(body):
        end += len(line) + 1
        if line.startswith(_OF_SCHEDULERS):
            word = line.split(maxsplit=1)[0].decode()
            yield f"{shown} line {number}: {word} has no effect in a meta jobscript: use directives"
    for match in _LATE.finditer(body, min(end, len(body))):
        number = body.count(b"\n", 0, match.start()) + 1
        key = match[1].decode()
        yield f"{shown} line {number}: {key} comes after the first command and has no effect there"
        break
