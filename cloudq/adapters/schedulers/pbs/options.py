"""What a user asks of ``qsub``, in the script's header lines and in ``--submit_opt``.

Only what cloudq must know is looked at; everything else goes to ``qsub`` as it stands, options of
a site's own too.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from attrs import field, frozen

from cloudq.domain.errors import InvalidInput, SubmitRefused
from cloudq.domain.scripts.array_range import ArrayRange

DIRECTIVE = "#PBS"

_VALUED = frozenset("aAcCeJjklmMNopPqrRSuvW")
"""Options that take the rest of their word, or the next one."""

_PLAIN = frozenset("fGhIVXz")

_REFUSED: Mapping[str, str] = {
    "C": "the header lines would not be found any more",
    "G": "the agent has no terminal",
    "I": "the agent has no terminal",
    "X": "the agent has no terminal",
    "u": "a job of cloudq belongs to the account of its agent",
    "z": "the job's id would not be told",
}
"""Options that block, or take the job out of sight."""

_REFUSED_ATTRIBUTES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"(?:^|,)\s*{pattern}", re.IGNORECASE), words)
    for pattern, words in (
        (r"block\s*=\s*['\"]?true", "block=true: the agent does not wait for one job; use 'cloudqcli wait'"),
        (r"interactive\s*=\s*['\"]?true", "interactive=true: the agent has no terminal"),
        (r"pwd\b", "pwd: the agent has no terminal"),
    )
)  # fmt: skip
"""The same, asked for with ``-W``."""

_DROPPED = frozenset("Sv")
"""Options that cloudq gives itself: one merged ``-v``, and the job shell's own interpreter."""

_OUTPUT = frozenset("ejko")


@frozen
class PbsOptions:
    """The options that cloudq must know of, by their letters; the last one given counts."""

    values: Mapping[str, str] = field(factory=dict)
    words: tuple[str, ...] = ()
    """Those of ``--submit_opt`` that go to qsub as they stand."""

    def has(self, letter: str) -> bool:
        """Whether the user gave it."""
        return letter in self.values

    @property
    def chooses_output(self) -> bool:
        """Whether the user says where the output goes."""
        return bool(_OUTPUT & self.values.keys())

    @property
    def array(self) -> ArrayRange | None:
        """The tasks asked for; `read_pbs_options` has made sure that they can be read."""
        text = self.values.get("J")
        return None if text is None else ArrayRange.parse(text, lowest=0)


def read_pbs_options(words: Sequence[str], directives: Sequence[str]) -> PbsOptions:
    """Read header lines, then *words*, which win. Raises `SubmitRefused` with all problems."""
    problems: list[str] = []
    values: dict[str, str] = {}
    kept: list[str] = []
    for line in directives:
        values |= {letter: value for letter, value, _ in _options(split_directive(line), line, problems)}
    for letter, value, given in _options(words, "submit_opt", problems):
        values[letter] = value
        kept += given if letter not in _DROPPED else ()
    problems += _problems_of_array(values.get("J"))
    if problems:
        raise SubmitRefused("; ".join(problems))
    return PbsOptions(values, tuple(kept))


def split_directive(line: str) -> list[str]:
    """The words of a header line, as qsub splits it: quotes group, a ``#`` is no comment.

    A backslash stands for the next character outside of quotes only.
    """
    rest = line.removeprefix(DIRECTIVE)
    lexer = shlex.shlex(rest, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escapedquotes = True, "", ""
    try:
        return list(lexer)
    except ValueError:  # an unclosed quote: qsub will have its own words for it
        return rest.split()


def _options(
    words: Sequence[str], source: str, problems: list[str]
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Options with their values and the words they were given in; *problems* gets what must not be."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word in {"-", "--"}:
            problems.append(f"{source}: {word!r} is no option: qsub would take it for the jobscript")
            continue
        if word.startswith("--"):
            problems.append(f"{source}: {word}: nothing would be submitted")
            continue
        for letter, value, given in _read_word(word, rest):
            problems += _problems_of(letter, value, source)
            yield letter, value, given


def _read_word(word: str, rest: list[str]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """``-hV -l x`` as getopt reads it; an unknown letter, a site's own, takes what is written with it."""
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in _PLAIN:
            yield letter, "", (f"-{letter}",)
        elif letters or letter not in _VALUED:
            yield letter, letters, (f"-{letter}{letters}",)
            return
        else:
            following = (rest.pop(0),) if rest else ()
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
    """*array* for ``-J``, which takes one range. Raises `SubmitRefused` for what is none."""
    tasks = sorted(array)
    steps = {after - before for before, after in pairwise(tasks)}
    if len(steps) > 1:
        raise SubmitRefused(f"PBS takes one range of tasks, FIRST-LAST[:STEP], not {array}")
    limit = "" if array.max_running is None else f"%{array.max_running}"
    return f"{tasks[0]}-{tasks[-1]}:{min(steps, default=1)}{limit}"


def job_name(name: str) -> str:
    """*name* as every version of PBS takes it: 15 plain characters, a letter or digit first."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return (plain if plain[:1].isalnum() else f"j{plain}")[:15]
