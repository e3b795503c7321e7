"""The words of ``--submit_opt`` and similar options, split like a POSIX shell does, without expansion."""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Sequence

from cloudq.domain.errors import InvalidInput

_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""The Unicode categories of control characters, stray surrogates, line and paragraph separators."""


def split_options(text: str, what: str = "submit_opt") -> tuple[str, ...]:
    """Split *text* into words; quotes group, and no shell ever receives the text.

    Raises `InvalidInput` for an unclosed quote, a line break or another control character.
    """
    if any(unicodedata.category(char) in _REFUSED for char in text):
        raise InvalidInput(f"{what} {text!r} has a line break or control character in it")
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise InvalidInput(f"{what} {text!r} cannot be split into words: {error}") from error


def checked_options(text: str) -> str:
    """Return *text* if it can be split into words; raise `InvalidInput` otherwise."""
    split_options(text)
    return text


def join_options(words: Sequence[str]) -> str:
    """Return one line that `split_options` splits into the same words."""
    return shlex.join(words)
