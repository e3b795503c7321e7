"""What of a user's script and options goes into the head of the job shell."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from attrs import frozen

from cloudq.domain.jobscript import Jobscript


@frozen
class HeaderSyntax:
    """How a scheduler reads options in the lines of a jobscript."""

    prefix: str
    """What such lines begin with."""
    anywhere: bool = False
    """Whether it reads them in the whole script, not at its head alone."""
    indented: bool = False
    """Whether blanks may stand before them."""
    interpreter_option: str = ""
    """The option, such as ``-S``, that names the script's interpreter: never the job shell's."""


@frozen
class Header:
    """The lines that are copied, and what runs the script where the user asked for it."""

    directives: tuple[str, ...] = ()
    interpreter: str = ""


def read_header(script: Jobscript, options: Sequence[str], syntax: HeaderSyntax) -> Header:
    """Header lines of *script*, without the interpreter that they or *options*, which win, ask for."""
    prefix, option = syntax.prefix, syntax.interpreter_option
    lines = script.directives(prefix, anywhere=syntax.anywhere, indented=syntax.indented)
    if not option:
        return Header(lines)
    asked = re.compile(rf"\s*(?<!\S){re.escape(option)}\s+([^\s#]+)(?=\s|#|$)")
    rests = [line.removeprefix(prefix) for line in lines]
    named = [match[1].strip("\"'") for rest in rests for match in asked.finditer(rest)]
    named += [value for word, value in itertools.pairwise(options) if word == option]
    kept = [prefix + left for rest in rests if (left := asked.sub("", rest)).strip() or not rest.strip()]
    return Header(tuple(kept), named[-1] if named else "")
