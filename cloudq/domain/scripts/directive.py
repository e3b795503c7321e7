"""The directives of meta jobscripts, and the values that each accepts.

A directive is a line ``#$ key: value`` in the head of a script. Grid Engine's own ``#$ -l …`` lines, which
begin with an option, are not directives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import frozen

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import checked_system
from cloudq.domain.scripts.submit_options import split_options
from cloudq.domain.scripts.walltime import Walltime

MARK = b"#$"
MAX_RESOURCES = 1_000_000
MAX_IMAGES = 100
MAX_VALUE_CHARS = 4_000

_KEY = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_-]*)\s*:(.*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IMAGE = re.compile(r"[a-z][a-z0-9+.-]{0,31}://[^\s]{1,1000}")
_NUMBER = re.compile(r"[0-9]{1,7}")


@frozen
class Directive:
    """A line ``#$ key: value`` in the head of a script; the key may be unknown."""

    number: int
    """The line number, counted from 1."""
    key: str
    value: str

    @classmethod
    def parse(cls, number: int, line: str) -> Directive | None:
        """Return the directive in *line*, which begins with ``#$``; None if it is not ``key: value``."""
        match = _KEY.fullmatch(line.removeprefix(MARK.decode()))
        return cls(number, match[1], match[2].strip()) if match else None


@frozen
class Rule:
    """The rule for the directives with one key; *read* raises `InvalidInput` that describes valid values."""

    read: Callable[[str], Any]
    is_mandatory: bool = False
    is_repeatable: bool = False


def checked_name(text: str) -> str:
    """Return *text* if it can name a project or resource as an option; raise `InvalidInput` otherwise."""
    if _NAME.fullmatch(text) is None:
        raise InvalidInput(
            f"{text!r} is not a name: letters, digits, '_', '.' and '-', 128 at most, not beginning with "
            "'.' or '-'; if a system uses another name, map it in the configuration"
        )
    return text


def read_number(text: str) -> int:
    """Parse a number of resources, at least one; raise `InvalidInput` otherwise."""
    if _NUMBER.fullmatch(text) is None or not 1 <= int(text) <= MAX_RESOURCES:
        raise InvalidInput(f"{text!r} is not a number from 1 to {MAX_RESOURCES}")
    return int(text)


def checked_image(text: str) -> str:
    """Return *text* if it is the URL of an image; raise `InvalidInput` otherwise."""
    if _IMAGE.fullmatch(text) is None or not text.isprintable():
        raise InvalidInput(
            f"{text!r} is not the URL of an image, such as docker://ubuntu:24.04 or file:///data/image.sif"
        )
    return text


def _system(text: str) -> str:
    return checked_system(text.lower())


def _options(text: str) -> tuple[str, ...]:
    return split_options(text, "other_opts")


RULES: Mapping[str, Rule] = {
    "run_on": Rule(_system),
    "project": Rule(checked_name, is_mandatory=True),
    "resource": Rule(checked_name, is_mandatory=True),
    "n_resource": Rule(read_number, is_mandatory=True),
    "walltime": Rule(Walltime.parse),
    "other_opts": Rule(_options),
    "container_img": Rule(checked_image, is_repeatable=True),
}
"""The rules of all directives, by key."""

MANDATORY = tuple(key for key, rule in RULES.items() if rule.is_mandatory)


def head_lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines before the first command, which are blank or comments, with their numbers."""
    for number, line in enumerate(body.split(b"\n"), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith(b"#"):
            return
        yield number, line


def marked_lines(body: bytes) -> Iterator[tuple[int, str]]:
    """Yield the lines of the head that begin with ``#$``, whatever they contain, with their numbers."""
    for number, line in head_lines(body):
        stripped = line.strip()
        if stripped.startswith(MARK):
            yield number, stripped.decode(errors="replace")


def directives_in(body: bytes) -> Iterator[Directive]:
    """Yield the directives in the head of a script, also those with unknown keys."""
    parsed = (Directive.parse(number, line) for number, line in marked_lines(body))
    return (directive for directive in parsed if directive is not None)


def is_meta(body: bytes) -> bool:
    """Return whether a script is a meta jobscript: its head has a directive with a known key."""
    return any(directive.key in RULES for directive in directives_in(body))


def suggestion(key: str) -> str:
    """Return what an unknown directive may have meant, as the end of a sentence."""
    import difflib  # noqa: PLC0415  only needed when something is wrong

    plain = key.lower().replace("-", "_")
    close = [plain] if plain in RULES else difflib.get_close_matches(plain, RULES, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f" (known: {', '.join(RULES)})"
