"""The arguments of a script: words of its owner, for all tasks or for each task of an array."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence

from cloudq.domain.errors import InvalidInput
from cloudq.domain.scripts.array_range import MAX_TASKS, ArrayRange

MAX_WORDS = 10_000
MAX_BYTES = 65_536
"""The limit for the arguments that a record holds, which is rewritten at every change of state.

It is also below the 128 KiB that Linux accepts for one argument or variable.
"""

MAX_LINES_BYTES = 4 * 1024 * 1024
"""The limit for the arguments of all tasks together."""

MAX_LINE_BYTES = 65_536

_UNQUOTED = re.compile(r"[\t !#-&(-\[\]-~]*")
"""A line that blanks alone split into words: shlex would take seconds for tens of thousands of lines."""

Words = tuple[str, ...]


def word_problem(word: str) -> str | None:
    """Return why *word* cannot be passed to a script or be the value of a variable; None if it can."""
    if "\0" in word:
        return "has a NUL character in it"
    try:
        word.encode()
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    return None


def total_bytes(words: Iterable[str]) -> int:
    """Return the number of bytes of *words*."""
    return sum(len(word.encode(errors="replace")) for word in words)


def checked_arguments(words: Iterable[str]) -> Words:
    """Return the arguments *words*. Raises `InvalidInput` with all problems."""
    arguments = tuple(words)
    problems = [
        f"argument {number} {problem}"
        for number, word in enumerate(arguments, 1)
        if (problem := word_problem(word))
    ]
    if len(arguments) > MAX_WORDS or total_bytes(arguments) > MAX_BYTES:
        problems.append(f"the arguments are more than {MAX_WORDS} words or {MAX_BYTES} bytes")
    if problems:
        raise InvalidInput(problems)
    return arguments


def read_lines(text: str, source: str) -> tuple[Words, ...]:
    """Return the words of each line of *text*, quoted as for a shell; *source* names the text in errors.

    Empty lines and lines that begin with ``#`` are left out. Raises `InvalidInput` with the number of every
    line that cannot be read.
    """
    lines: list[Words] = []
    problems: list[str] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        try:
            if words := _words(line.strip()):
                lines.append(words)
        except ValueError as error:
            problems.append(f"{source} line {number}: {error}")
    if not lines and not problems:
        problems.append(f"{source}: has no line with arguments")
    if problems:
        raise InvalidInput(problems)
    return tuple(lines)


def _words(line: str) -> Words:
    if line.startswith("#"):
        return ()
    if total_bytes([line]) > MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_BYTES} bytes")
    if _UNQUOTED.fullmatch(line):
        return tuple(line.split())
    try:
        words = tuple(shlex.split(line))
    except ValueError as error:
        raise ValueError(f"cannot be split into words: {error}") from error
    for word in words:
        if problem := word_problem(word):
            raise ValueError(f"a word {problem}")
    return words


def lines_text(lines: Iterable[Sequence[str]]) -> str:
    """Return a text that `read_lines` reads as exactly these *lines*; each is quoted for a shell, too."""
    return "".join(f"{shlex.join(words)}\n" for words in lines)


def checked_lines(lines: Iterable[Sequence[str]]) -> tuple[Words, ...]:
    """Return the arguments of each task. Raises `InvalidInput` with all problems and their lines."""
    checked = tuple(tuple(words) for words in lines)
    problems = list(_problems_of_lines(checked))
    if len(checked) > MAX_TASKS:
        problems.append(f"{len(checked)} lines of arguments: an array has {MAX_TASKS} tasks at most")
    elif not problems and len(lines_text(checked).encode()) > MAX_LINES_BYTES:
        problems.append(f"the lines of arguments are larger than {MAX_LINES_BYTES >> 20} MiB")
    if problems:
        raise InvalidInput(problems)
    return checked


def _problems_of_lines(lines: Sequence[Words]) -> Iterator[str]:
    for number, words in enumerate(lines, 1):
        if not words:
            yield f"arguments of task {number}: there are none"
        for word in words:
            if problem := word_problem(word) or ("has a line break in it" if "\n" in word else None):
                yield f"arguments of task {number}: a word {problem}"


def tasks_of_lines(count: int, wanted: ArrayRange | None) -> ArrayRange:
    """Return the tasks of an array with *count* lines of arguments: the *wanted* ones, or all.

    Task 1 has the first line. Raises `InvalidInput` for a task that has no line.
    """
    if wanted is None:
        return ArrayRange.covering(range(1, count + 1))
    if wanted.last > count:
        raise InvalidInput(f"array range {str(wanted)!r}: there are only {count} lines of arguments")
    return wanted
