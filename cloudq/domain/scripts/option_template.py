"""Options of a submit command with places for values: ``--partition={resource} --nodes={n}``.

A template is split into words before values are put into the words: whatever a value contains, it never
becomes a separate word, and never an option.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from string import Formatter

from attrs import field, frozen

from cloudq.domain.errors import InvalidInput
from cloudq.domain.problems import Problems
from cloudq.domain.scripts.submit_options import split_options

MAX_TEMPLATE_CHARS = 4_000

Part = tuple[str, str]
"""A literal text and the name of the field that follows it; the name may be empty."""


@frozen
class OptionTemplate:
    """The words of a template; an empty template gives no options."""

    text: str = ""
    words: tuple[tuple[Part, ...], ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, text: str, fields: frozenset[str]) -> OptionTemplate:
        """Parse a template with these *fields*; raise `InvalidInput` with all problems."""
        if len(text) > MAX_TEMPLATE_CHARS:
            raise InvalidInput(f"options are longer than {MAX_TEMPLATE_CHARS} characters")
        given = split_options(text, "options")
        problems = Problems()
        words = tuple(_parts(word, fields, problems) for word in given)
        if given and not given[0].startswith("-"):
            problems.add(f"{given[0]!r} is not an option: a submit command would take it for the jobscript")
        if problems:
            raise InvalidInput([f"{text!r}: {problem}" for problem in problems])
        return cls(text, words)

    @property
    def fields(self) -> frozenset[str]:
        """The fields for which the template has places."""
        return frozenset(name for word in self.words for _, name in word if name)

    def fill(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return the words with *values* in their places, as many as the template has.

        Raises `InvalidInput` for a value that would be taken for an option.
        """
        return tuple(_filled(word, values) for word in self.words)


def _parts(word: str, fields: frozenset[str], problems: Problems) -> tuple[Part, ...]:
    try:
        pieces = list(Formatter().parse(word))
    except ValueError as error:
        problems.add(f"{error}; write a literal brace twice")
        return ()
    return tuple(_checked_parts(pieces, fields, problems))


def _checked_parts(
    pieces: list[tuple[str, str | None, str | None, str | None]], fields: frozenset[str], problems: Problems
) -> Iterator[Part]:
    for literal, name, spec, conversion in pieces:
        if name is not None and (name not in fields or spec or conversion):
            known_fields = ", ".join(f"{{{allowed}}}" for allowed in sorted(fields))
            shown = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            problems.add(f"unknown field {{{shown}}} (known: {known_fields})")
        yield literal, name or ""


def _filled(word: tuple[Part, ...], values: Mapping[str, str]) -> str:
    text = "".join(literal + (values[name] if name else "") for literal, name in word)
    begins_with_value = bool(word) and not word[0][0] and bool(word[0][1])
    if begins_with_value and text.startswith("-"):
        raise InvalidInput(f"{word[0][1]} {text!r} begins with '-' and would be taken for an option")
    if any(char in text for char in "\0\n\r"):
        raise InvalidInput(f"{text!r} has a line break or NUL in it")
    return text
