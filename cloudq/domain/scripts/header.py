"""Header lines and interpreters of users' scripts: what the job shell takes over, and what has no effect."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from attrs import frozen

from cloudq.domain.scripts.jobscript import Jobscript


@frozen
class HeaderSyntax:
    """The way in which a scheduler reads options from the lines of a jobscript."""

    prefix: str
    """The beginning of such lines."""
    also: tuple[str, ...] = ()
    """Prefixes of other schedulers' lines that this scheduler reads, too; they are copied unchanged."""
    anywhere: bool = False
    """Whether the scheduler reads them in the whole script, not only in its head."""
    indented: bool = False
    """Whether blanks may precede them."""
    passed_over: str = ""
    """The beginning of other lines that the scheduler does not take for a command."""
    continued: bool = False
    """Whether a backslash at the end of such a line joins the next one to it."""
    interpreter_option: str = ""
    """The option, such as ``-S``, that names the script's interpreter, never that of the job shell."""
    may_adjoin: bool = False
    """Whether its value may follow without a blank: ``-S/bin/csh``."""

    @property
    def before_value(self) -> str:
        """The pattern between the interpreter's option and its value."""
        return r"\s*" if self.may_adjoin else r"\s+"


@frozen
class Header:
    """The lines that are copied, and the interpreter that runs the script if the user asked for one."""

    lines: tuple[str, ...] = ()
    interpreter: str = ""


def header_lines(script: Jobscript, syntax: HeaderSyntax) -> tuple[str, ...]:
    """Return the lines of *script* from which the scheduler reads options, as they are.

    Blanks around them are removed, and *continued* lines are joined. Unless the scheduler reads them
    *anywhere*, they end at the first line that is neither blank nor a comment.
    """
    prefixes = (syntax.prefix, *syntax.also)
    header = []
    lines = iter(script.body.decode(errors="replace").split("\n"))
    for line in lines:
        stripped = line.strip()
        if (stripped if syntax.indented else line).startswith(prefixes):
            header.append(_joined(stripped, lines) if syntax.continued else stripped)
        elif syntax.passed_over and line.startswith(syntax.passed_over):
            continue
        elif stripped and not stripped.startswith("#") and not syntax.anywhere:
            break
    return tuple(header)


def _joined(line: str, following: Iterator[str]) -> str:
    """Join *line* with as many of the *following* lines as backslashes at the end ask for."""
    while line.endswith("\\"):
        line = (line[:-1] + next(following, "")).rstrip()
    return line


def read_header(script: Jobscript, options: Sequence[str], syntax: HeaderSyntax) -> Header:
    """Return the header lines of *script*, without the interpreter option, and the interpreter.

    An interpreter in *options* takes precedence over one in the script.
    """
    prefix, option = syntax.prefix, syntax.interpreter_option
    lines = header_lines(script, syntax)
    if not option:
        return Header(lines)
    asked = re.compile(rf"\s*(?<!\S){re.escape(option)}{syntax.before_value}([^\s#]+)(?=\s|#|$)")
    texts = [line.removeprefix(prefix) for line in lines]
    named = [match[1].strip("\"'") for text in texts for match in asked.finditer(text)]
    named += [value for word, value in itertools.pairwise(options) if word == option]
    if syntax.may_adjoin:
        named += [word[len(option) :] for word in options if word.startswith(option) and word != option]
    kept = [prefix + left for text in texts if (left := asked.sub("", text)).strip() or not text.strip()]
    return Header(tuple(kept), _of_one_host(named[-1]) if named else "")


def _of_one_host(value: str) -> str:
    """Return the path in *value*: PBS accepts one for each host, ``/bin/csh@host1,/bin/sh``."""
    paths = value.split(",")
    return next((path for path in paths if "@" not in path), paths[0].partition("@")[0])


_PREFIXES = frozenset({"#SBATCH", "#PBS", "#BSUB", "#LOCAL"})
_LATE = re.compile(rf"[ \t]*({'|'.join(sorted(_PREFIXES))})(?:[ \t].*)?")
_HERE_DOCUMENT = re.compile(r"(?<!<)<<-?\s*(?:'([^']+)'|\"([^\"]+)\"|\\?([A-Za-z0-9_.]+))")


def late_lines(script: Jobscript) -> Iterator[str]:
    """Yield a sentence for each kind of header line after the first command, which no scheduler reads.

    Lines of a here-document do not count, because a script may write another one. If schedulers differ, a
    line that one of them reads is not reported.
    """
    late_numbers: dict[str, list[str]] = {}
    over: frozenset[str] = frozenset()
    until, is_joined = "", False
    for number, line in enumerate(script.body.decode(errors="replace").split("\n"), start=1):
        if until:
            until = "" if line.lstrip("\t") == until else until
            continue
        match = _LATE.fullmatch(line)
        if match and match[1] in over:
            late_numbers.setdefault(match[1], []).append(str(number))
        is_continuation = is_joined
        is_joined = line.rstrip().endswith("\\") and (is_joined or line.lstrip().startswith("#PBS"))
        if line.strip() and not line.lstrip().startswith("#"):
            over |= _PREFIXES - ({"#PBS"} if is_continuation or line.startswith(":") else frozenset())
            opened = _HERE_DOCUMENT.search(line)
            until = (opened[1] or opened[2] or opened[3]) if opened else ""
    for prefix, numbers in late_numbers.items():
        lines = f"line {numbers[0]}" if len(numbers) == 1 else f"lines {', '.join(numbers[:10])}"
        yield f"{script.name} {lines}: {prefix} comes after the first command and has no effect there"


_OPTION_LINE = re.compile(r"[ \t]*(#SBATCH|#PBS|#BSUB|#LOCAL|#\$)[ \t]*-.*")
_MOST_QUOTED = 3
_MOST_QUOTED_CHARS = 60


def foreign_lines(script: Jobscript, syntax: HeaderSyntax) -> Iterator[str]:
    """Yield a sentence for each kind of header line in the head of *script* that this scheduler ignores.

    A script that also has lines for this scheduler was written for several, so nothing is reported.
    """
    if header_lines(script, syntax):
        return
    own = {prefix.strip() for prefix in (syntax.prefix, *syntax.also)}
    ignored: dict[str, list[tuple[int, str]]] = {}
    for number, line in enumerate(script.body.decode(errors="replace").split("\n"), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        match = _OPTION_LINE.fullmatch(line)
        if match and match[1] not in own:
            ignored.setdefault(match[1], []).append((number, line.strip()[:_MOST_QUOTED_CHARS]))
    for prefix, lines in ignored.items():
        numbers = ", ".join(str(number) for number, _ in lines[:10])
        quoted = ", ".join(repr(text) for _, text in lines[:_MOST_QUOTED])
        more = " …" if len(lines) > _MOST_QUOTED else ""
        yield (
            f"{script.name} line{'s' if len(lines) > 1 else ''} {numbers}: {prefix} has no effect there, "
            f"only {syntax.prefix.strip()} has: {quoted}{more}"
        )
