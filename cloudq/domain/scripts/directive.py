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
class DirectiveSpec:
    """The rules for one directive; *read* raises `InvalidInput` that describes valid values."""

    read: Callable[[str], Any]
    is_mandatory: bool = False
    is_repeatable: bool = False


@frozen
class HeaderLine:
    """A line in the head of a script that begins with ``#$``."""

    number: int
    """The line number, counted from 1."""
    key: str
    """The key; empty if the line is not ``key: value``."""
    value: str
    text: str


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


DIRECTIVES: Mapping[str, DirectiveSpec] = {
    "run_on": DirectiveSpec(_system),
    "project": DirectiveSpec(checked_name, is_mandatory=True),
    "resource": DirectiveSpec(checked_name, is_mandatory=True),
    "n_resource": DirectiveSpec(read_number, is_mandatory=True),
    "walltime": DirectiveSpec(Walltime.parse),
    "other_opts": DirectiveSpec(_options),
    "container_img": DirectiveSpec(checked_image, is_repeatable=True),
}
"""All directives."""

MANDATORY = tuple(name for name, spec in DIRECTIVES.items() if spec.is_mandatory)


def header_lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines before the first command, which are blank or comments, with their numbers."""
    for number, line in enumerate(body.split(b"\n"), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith(b"#"):
            return
        yield number, line


def marked_lines(body: bytes) -> Iterator[HeaderLine]:
    """Yield the lines of the head that begin with ``#$``, whatever they contain."""
    for number, line in header_lines(body):
        stripped = line.strip()
        if stripped.startswith(MARK):
            text = stripped.decode(errors="replace")
            match = _KEY.fullmatch(text.removeprefix("#$"))
            key, value = (match[1], match[2].strip()) if match else ("", "")
            yield HeaderLine(number, key, value, text)


def has_directives(body: bytes) -> bool:
    """Return whether the head of a script has a known directive, which makes it a meta jobscript."""
    return any(line.key in DIRECTIVES for line in marked_lines(body))


def suggestion(key: str) -> str:
    """Return what an unknown directive may have meant, as the end of a sentence."""
    import difflib  # noqa: PLC0415  only needed when something is wrong

    plain = key.lower().replace("-", "_")
    close = [plain] if plain in DIRECTIVES else difflib.get_close_matches(plain, DIRECTIVES, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f" (known: {', '.join(DIRECTIVES)})"
