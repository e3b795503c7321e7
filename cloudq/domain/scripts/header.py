"""What of a user's script and options goes into the head of the job shell, and what goes nowhere."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from attrs import frozen

from cloudq.domain.scripts.jobscript import Jobscript


@frozen
class HeaderSyntax:
    """How a scheduler reads options in the lines of a jobscript."""

    prefix: str
    """What such lines begin with."""
    also: tuple[str, ...] = ()
    """Beginnings of other schedulers' lines that this one reads, too: it gets them as they stand."""
    anywhere: bool = False
    """Whether it reads them in the whole script, not at its head alone."""
    indented: bool = False
    """Whether blanks may stand before them."""
    passed_over: str = ""
    """What lines begin with that it takes for no command although they are none of its own."""
    continued: bool = False
    """Whether a backslash at the end of such a line joins the next one to it."""
    interpreter_option: str = ""
    """The option, such as ``-S``, that names the script's interpreter: never the job shell's."""
    may_adjoin: bool = False
    """Whether its value may be written without a blank: ``-S/bin/csh``."""

    @property
    def before_value(self) -> str:
        """What stands between the interpreter's option and its value, as a pattern."""
        return r"\s*" if self.may_adjoin else r"\s+"


@frozen
class Header:
    """The lines that are copied, and what runs the script where the user asked for it."""

    directives: tuple[str, ...] = ()
    interpreter: str = ""


def read_header(script: Jobscript, options: Sequence[str], syntax: HeaderSyntax) -> Header:
    """Header lines of *script*, without the interpreter that they or *options*, which win, ask for."""
    prefix, option = syntax.prefix, syntax.interpreter_option
    lines = script.directives(
        prefix,
        *syntax.also,
        anywhere=syntax.anywhere,
        indented=syntax.indented,
        passed_over=syntax.passed_over,
        continued=syntax.continued,
    )
    if not option:
        return Header(lines)
    asked = re.compile(rf"\s*(?<!\S){re.escape(option)}{syntax.before_value}([^\s#]+)(?=\s|#|$)")
    rests = [line.removeprefix(prefix) for line in lines]
    named = [match[1].strip("\"'") for rest in rests for match in asked.finditer(rest)]
    named += [value for word, value in itertools.pairwise(options) if word == option]
    if syntax.may_adjoin:
        named += [word[len(option) :] for word in options if word.startswith(option) and word != option]
    kept = [prefix + left for rest in rests if (left := asked.sub("", rest)).strip() or not rest.strip()]
    return Header(tuple(kept), _of_one_host(named[-1]) if named else "")


def _of_one_host(value: str) -> str:
    """The path in *value*: PBS may be told one for each host, ``/bin/csh@host1,/bin/sh``."""
    paths = value.split(",")
    return next((path for path in paths if "@" not in path), paths[0].partition("@")[0])


_PREFIXES = frozenset({"#SBATCH", "#PBS", "#BSUB", "#LOCAL"})
_LATE = re.compile(rf"[ \t]*({'|'.join(sorted(_PREFIXES))})(?:[ \t].*)?")
_HERE_DOCUMENT = re.compile(r"(?<!<)<<-?\s*(?:'([^']+)'|\"([^\"]+)\"|\\?([A-Za-z0-9_.]+))")


def late_lines(script: Jobscript) -> Iterator[str]:
    """Header lines after the first command, which no scheduler reads: a sentence for each kind.

    Lines of a here-document are none: a script may write another one. Where schedulers differ, a
    line that one of them reads is not named.
    """
    found: dict[str, list[str]] = {}
    over: frozenset[str] = frozenset()
    until, is_joined = "", False
    for number, line in enumerate(script.body.decode(errors="replace").split("\n"), start=1):
        if until:
            until = "" if line.lstrip("\t") == until else until
            continue
        match = _LATE.fullmatch(line)
        if match and match[1] in over:
            found.setdefault(match[1], []).append(str(number))
        is_continuation = is_joined
        is_joined = line.rstrip().endswith("\\") and (is_joined or line.lstrip().startswith("#PBS"))
        if line.strip() and not line.lstrip().startswith("#"):
            over |= _PREFIXES - ({"#PBS"} if is_continuation or line.startswith(":") else frozenset())
            opened = _HERE_DOCUMENT.search(line)
            until = (opened[1] or opened[2] or opened[3]) if opened else ""
    for prefix, numbers in found.items():
        lines = f"line {numbers[0]}" if len(numbers) == 1 else f"lines {', '.join(numbers[:10])}"
        yield f"{script.name} {lines}: {prefix} comes after the first command and means nothing there"
