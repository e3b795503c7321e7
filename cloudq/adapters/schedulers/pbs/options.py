"""The options that a user gives to ``qsub``, in the script's header lines and in ``--submit_opt``.

cloudq interprets only the options that it needs. All others, including a site's own options, are passed
to ``qsub`` unchanged.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from attrs import field, frozen

from cloudq.domain.errors import InvalidInput, SubmitRefused
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.header import HeaderSyntax

PREFIX = "#PBS"
HEADER = HeaderSyntax(
    PREFIX, indented=True, passed_over=":", continued=True, interpreter_option="-S", may_adjoin=True
)

_VALUED = frozenset("aAcCeJjklmMNopPqrRSuvW")
"""Options whose value is the rest of their word or, if nothing is left of it, the next word."""

_PLAIN = frozenset("fGhIVXz")

_REFUSED: Mapping[str, str] = {
    "C": "cloudq would not find the header lines",
    "G": "the agent has no terminal",
    "I": "the agent has no terminal",
    "X": "the agent has no terminal",
    "u": "a job of cloudq belongs to the account of its agent",
    "z": "qsub would not print the job id",
}
"""Rejected options, which block or hide the job, with the reason."""

_REFUSED_ATTRIBUTES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"(?:^|,)\s*{pattern}", re.IGNORECASE), words)
    for pattern, words in (
        (r"block\s*=\s*['\"]?true", "block=true: the agent does not wait for one job; wait for it in cloudq"),
        (r"interactive\s*=\s*['\"]?true", "interactive=true: the agent has no terminal"),
        (r"pwd\b", "pwd: the agent has no terminal"),
    )
)  # fmt: skip
"""Attributes of ``-W`` that are rejected for the same reasons."""

_DROPPED = frozenset("Sv")
"""Options that cloudq sets itself: one merged ``-v``, and the interpreter of the job shell."""

_OUTPUT = frozenset("ejko")


@frozen
class PbsOptions:
    """The options that cloudq needs, by letter; the last occurrence counts."""

    values: Mapping[str, str] = field(factory=dict)
    words: tuple[str, ...] = ()
    """The words of ``--submit_opt`` that are passed to qsub unchanged."""

    def has(self, letter: str) -> bool:
        """Return whether the user gave this option."""
        return letter in self.values

    @property
    def chooses_output(self) -> bool:
        """Return whether the user chose where the output goes."""
        return bool(_OUTPUT & self.values.keys())

    @property
    def array(self) -> ArrayRange | None:
        """The requested tasks; `read_pbs_options` has checked that they can be read."""
        text = self.values.get("J")
        return None if text is None else ArrayRange.parse(text, lowest=0)


def read_pbs_options(words: Sequence[str], header_lines: Sequence[str]) -> PbsOptions:
    """Read header lines, then *words*, which take precedence. Raises `SubmitRefused` with all problems."""
    problems: list[str] = []
    values: dict[str, str] = {}
    kept: list[str] = []
    for line in header_lines:
        values |= {letter: value for letter, value, _ in _options(split_header_line(line), line, problems)}
    for letter, value, given in _options(words, "submit_opt", problems):
        values[letter] = value
        kept += given if letter not in _DROPPED else ()
    problems += _problems_of_array(values.get("J"))
    if problems:
        raise SubmitRefused("; ".join(problems))
    return PbsOptions(values, tuple(kept))


def split_header_line(line: str) -> list[str]:
    """Split a header line into words as qsub does: quotes group, and a ``#`` starts no comment.

    A backslash escapes the next character only outside quotes.
    """
    text = line.removeprefix(PREFIX)
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escapedquotes = True, "", ""
    try:
        return list(lexer)
    except ValueError:  # an unclosed quote: qsub reports it
        return text.split()


def _options(
    words: Sequence[str], source: str, problems: list[str]
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield options with their values and original words; add what is not allowed to *problems*."""
    remaining = list(words)
    while remaining:
        word = remaining.pop(0)
        if not word.startswith("-") or word in {"-", "--"}:
            problems.append(f"{source}: {word!r} is not an option: qsub would take it for the jobscript")
            continue
        if word.startswith("--"):
            problems.append(f"{source}: {word}: nothing would be submitted")
            continue
        for letter, value, given in _read_word(word, remaining):
            problems += _problems_of(letter, value, source)
            yield letter, value, given


def _read_word(word: str, remaining: list[str]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Read ``-hV -l x`` as getopt does; an unknown letter (a site's own) takes the rest of its word."""
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in _PLAIN:
            yield letter, "", (f"-{letter}",)
        elif letters or letter not in _VALUED:
            yield letter, letters, (f"-{letter}{letters}",)
            return
        else:
            following = (remaining.pop(0),) if remaining else ()
            yield letter, "".join(following), ("-" + letter, *following)
            return


def _problems_of(letter: str, value: str, source: str) -> Iterator[str]:
    if letter in _REFUSED:
        yield f"{source}: -{letter}: {_REFUSED[letter]}"
    if letter == "W":
        for pattern, words in _REFUSED_ATTRIBUTES:
            if pattern.search(value):
                yield f"{source}: -W {words}"


def _problems_of_array(text: str | None) -> Iterator[str]:
    if text is None:
        return
    try:
        array_argument(ArrayRange.parse(text, lowest=0))
    except (InvalidInput, SubmitRefused) as problem:
        yield f"-J: {problem}"


def array_argument(array: ArrayRange) -> str:
    """Format *array* for ``-J``, which takes one range. Raises `SubmitRefused` if one is not enough."""
    tasks = sorted(array)
    steps = {after - before for before, after in pairwise(tasks)}
    if len(steps) > 1:
        raise SubmitRefused(f"PBS takes one range of tasks, FIRST-LAST[:STEP], not {array}")
    limit = "" if array.max_running is None else f"%{array.max_running}"
    return f"{tasks[0]}-{tasks[-1]}:{min(steps, default=1)}{limit}"


def job_name(name: str) -> str:
    """Convert *name* for all versions of PBS: at most 15 plain characters, the first a letter or digit."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return (plain if plain[:1].isalnum() else f"j{plain}")[:15]
