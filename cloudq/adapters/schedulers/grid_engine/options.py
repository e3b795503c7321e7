"""The options that a user gives to ``qsub``, in the script's ``#$`` lines and in ``--submit_opt``.

cloudq interprets only the options that it needs. All others, including a site's own options, are passed
to ``qsub`` unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from attrs import field, frozen

from cloudq.domain.errors import InvalidInput, SubmitRefused
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.header import HeaderSyntax

PREFIX = "#$"
HEADER = HeaderSyntax(PREFIX, anywhere=True, interpreter_option="-S")

_NO = frozenset({"n", "no"})
_WARN_ONLY = frozenset({"e", "w", "n"})
_NOT_FOLLOWED = "the agent does not wait for one job; wait for it in cloudq"
_NOTHING = "nothing would be submitted"

_REFUSED: Mapping[str, tuple[frozenset[str], str]] = {
    "@": (frozenset(), "cloudq does not read options in a file; write them into the script"),
    "C": (frozenset(), f"cloudq copies only lines that begin with {PREFIX}"),
    "b": (_NO, "it replaces the jobscript"),
    "clear": (frozenset(), "it would remove the options that cloudq adds"),
    "help": (frozenset(), _NOTHING),
    "now": (_NO, _NOT_FOLLOWED),
    "sync": (_NO, _NOT_FOLLOWED),
    "verify": (frozenset(), _NOTHING),
    "w": (_WARN_ONLY, _NOTHING),
}
"""Rejected options, which block, only test or hide the job unless they have one of these values."""


def _names(*lines: str) -> frozenset[str]:
    return frozenset(name for line in lines for name in line.split())


_VALUED = _names(
    "@ A C M N P R S a ac ar b c ckpt dc dl display e hold_jid hold_jid_ad i j js jsv l m masterq",
    "now o p q r sc shell sync t tc umask v w wd",
)
"""Options that take the next word, whatever it looks like."""
_PAIRED = frozenset({"pe"})
_PLAIN = _names("V clear cwd h hard help notify soft terse verify")


@frozen
class GridEngineOptions:
    """The options that cloudq needs, without their dash; the last occurrence counts."""

    values: Mapping[str, str] = field(factory=dict)
    words: tuple[str, ...] = ()
    """The words of ``--submit_opt``, without those that the job shell does not need."""

    def has(self, *names: str) -> bool:
        """Return whether the user gave one of these options."""
        return any(name in self.values for name in names)

    @property
    def array(self) -> ArrayRange | None:
        """The requested tasks; `read_grid_engine_options` has checked that they can be read."""
        text = self.values.get("t")
        if text is None:
            return None
        limit = self.max_running
        return ArrayRange.parse(text if limit is None else f"{text}%{limit}")

    @property
    def max_running(self) -> int | None:
        """How many tasks may run at once; None: no limit, for which ``qsub`` uses 0."""
        return int(self.values.get("tc", "0")) or None


def read_grid_engine_options(words: Sequence[str], header_lines: Sequence[str]) -> GridEngineOptions:
    """Read script lines, then *words*, which override them. Raises `SubmitRefused` with all problems."""
    problems: list[str] = []
    values: dict[str, str] = {}
    for line in header_lines:
        own, is_clear = split_header_line(line)
        if not is_clear:
            problems.append(
                f"{line.strip()}: write what follows a quoted value on a separate line: "
                "qsub treats it as part of that value"
            )
        values.update(
            (name, value) for name, value, _ in _options(own, line.strip(), problems, in_script=True)
        )
    kept: list[str] = []
    for name, value, given in _options(words, "submit_opt", problems, in_script=False):
        values[name] = value
        kept.extend(() if name == "S" else given)
    problems.extend(_problems(values))
    if problems:
        raise SubmitRefused("; ".join(problems))
    return GridEngineOptions(values, tuple(kept))


def split_header_line(line: str) -> tuple[list[str], bool]:
    """Split a line into words as qsub does; also return whether every kind of qsub does so.

    ``#`` ends the line, wherever it is. A quote makes one word of the rest of the line.
    """
    text = line.removeprefix(PREFIX).partition("#")[0]
    quoted = re.search(r"""\S*["'].*""", text)
    if quoted is None:
        return text.split(), True
    opening = re.search(r"""["']""", quoted[0])
    mark = opening[0] if opening else '"'
    inside = quoted[0].partition(mark)[2]
    is_clear = inside.count(mark) == 1 and not inside.partition(mark)[2].strip()
    value = re.sub(r"""["']""", "", quoted[0]).rstrip()
    return [*text[: quoted.start()].split(), value], is_clear


def _options(
    words: Sequence[str], source: str, problems: list[str], *, in_script: bool
) -> Iterator[tuple[str, str, list[str]]]:
    """Yield options, their values and all their words; add what must not reach qsub to *problems*."""
    remaining = list(words)
    while remaining:
        word = remaining.pop(0)
        if not word.startswith("-") or word == "-":
            if not in_script:  # in a script, qsub itself reports the word
                problems.append(f"{source}: {word!r} is not an option: qsub would take it for the jobscript")
            continue
        name = word[1:]
        given = [word, *_values(name, remaining)]
        if name in _VALUED and len(given) == 1:
            problems.append(f"{source}: {word} has no value")
        value = given[1] if len(given) > 1 else ""
        allowed, reason = _REFUSED.get(name, (frozenset({value}), ""))
        if value not in allowed:
            problems.append(f"{source}: {word}{f' {value}' if value else ''}: {reason}")
        yield name, value, given


def _values(name: str, remaining: list[str]) -> Iterator[str]:
    """Yield the words that belong to the option *name*, and remove them from *remaining*."""
    if name in _PLAIN:
        return
    if name in _VALUED or name in _PAIRED:
        for _ in range(1 + (name in _PAIRED)):
            if remaining:
                yield remaining.pop(0)
        return
    # A site's own option, or one that is unknown here: its values do not begin with a dash.
    if name == "binding" and remaining and remaining[0] in {"env", "pe", "set"}:
        yield remaining.pop(0)
    if remaining and not remaining[0].startswith("-"):
        yield remaining.pop(0)


def _problems(values: Mapping[str, str]) -> Iterator[str]:
    limit = values.get("tc", "0")
    if not re.fullmatch("[0-9]{1,5}", limit):
        yield f"-tc {limit!r} is not a number of tasks that may run at once"
    interpreter = values.get("S")
    if interpreter is not None and not re.fullmatch(r"/[^\s:,]+", interpreter):
        yield f"-S {interpreter!r} is not the absolute path of one interpreter"
    if "t" in values:
        try:
            if not ArrayRange.parse(values["t"]).is_simple:
                yield f"-t {values['t']}: {NO_LISTS}"
        except InvalidInput as problem:
            yield f"-t: {problem}"


NO_LISTS = "Grid Engine takes one range of tasks, FIRST-LAST:STEP, not a list"


def job_name(name: str) -> str:
    """Convert *name* for Grid Engine: plain characters only, and no digit at the beginning."""
    plain = re.sub(r"[^A-Za-z0-9._+=,-]", "_", name)
    return plain if re.match("[A-Za-z_.]", plain) else f"_{plain}"


def is_plain_path(path: str) -> bool:
    """Return whether ``-o`` takes *path* literally: no list, no host, no variable, no blank."""
    return re.search(r"[\s:,$]", path) is None
