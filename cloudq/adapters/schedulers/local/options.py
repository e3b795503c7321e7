"""The options that a user may give to the embedded scheduler: ``--time`` and ``--slots``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from attrs import evolve, frozen

from cloudq.domain.errors import InvalidInput, SubmitRefused
from cloudq.domain.scripts.header import HeaderSyntax
from cloudq.domain.scripts.submit_options import split_options
from cloudq.domain.scripts.walltime import Walltime

PREFIX = "#LOCAL "
HEADER = HeaderSyntax(PREFIX)


@frozen
class LocalOptions:
    """How many slots a task takes and how long it may run (None: without a limit)."""

    slots: int = 1
    time: Walltime | None = None

    def words(self) -> tuple[str, ...]:
        """Return the options as a user would write them."""
        limit = ("--time", str(self.time)) if self.time else ()
        return ("--slots", str(self.slots), *limit)


def read_local_options(words: Sequence[str], header_lines: Sequence[str] = ()) -> LocalOptions:
    """Read header lines, then *words*, which take precedence. Raises `SubmitRefused` with all problems."""
    problems: list[str] = []
    options = LocalOptions()
    for source, given in _sources(words, header_lines, problems):
        for name, value in _pairs(given):
            try:
                options = _read_option(options, name, value)
            except InvalidInput as problem:
                problems.append(f"{source}: {name}: {problem}")
    if problems:
        raise SubmitRefused("; ".join(problems))
    return options


def _sources(
    words: Sequence[str], header_lines: Sequence[str], problems: list[str]
) -> Iterator[tuple[str, Sequence[str]]]:
    for line in header_lines:
        try:
            yield line, split_options(line.removeprefix(PREFIX.rstrip()).replace("\t", " "))
        except InvalidInput as problem:
            problems.append(f"{line}: {problem}")
    yield "submit_opt", words


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield options with their values, given as ``--name value`` or ``--name=value``."""
    remaining = list(words)
    while remaining:
        name, separator, value = remaining.pop(0).partition("=")
        if not separator and remaining and not remaining[0].startswith("-"):
            yield name, remaining.pop(0)
        else:
            yield name, value if separator else None


def _read_option(options: LocalOptions, name: str, value: str | None) -> LocalOptions:
    if name == "--array":
        raise InvalidInput("use array_tid for arrays, so that cloudq follows every task")
    reader = _READERS.get(name)
    if reader is None:
        names = ", ".join(sorted(_READERS))
        raise InvalidInput(f"unknown option (the embedded scheduler has only {names})")
    if value is None:
        raise InvalidInput("a value is missing")
    return reader(options, value)


def _with_time(options: LocalOptions, value: str) -> LocalOptions:
    return evolve(options, time=Walltime.parse(value))


def _with_slots(options: LocalOptions, value: str) -> LocalOptions:
    if not (value.isascii() and value.isdigit() and 0 < int(value) < 1_000_000):
        raise InvalidInput(f"{value!r} is not a number of slots")
    return evolve(options, slots=int(value))


_READERS: dict[str, Callable[[LocalOptions, str], LocalOptions]] = {
    "--slots": _with_slots,
    "--time": _with_time,
}
