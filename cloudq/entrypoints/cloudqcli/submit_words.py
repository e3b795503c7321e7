"""The words of ``cloudqcli submit``: which of them are scripts, arguments, inputs, or a command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import click

from cloudq.entrypoints.shared.help import Command

STDIN = "-"
_AFTER_DASHES = "cloudq.after_dashes"
_FOLLOWERS = "cloudq.followers"
_LISTS = ("--input", "--output")
"""Options whose value a shell may expand to several words."""


class Words(NamedTuple):
    """The words of one command line, by their meaning."""

    scripts: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


class CommandWithWords(Command):
    """A command that can tell the words after ``--`` from those before."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words before ``--``, and keep those after it."""
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[_AFTER_DASHES] = tuple(args[end + 1 :])
        ctx.meta[_FOLLOWERS] = tuple(_followers(args[:end]))
        try:
            return super().parse_args(ctx, list(_with_directory(args[:end])))
        except click.NoSuchOption as error:
            problem = error.format_message()
            raise click.UsageError(
                f"{problem} Arguments of a script that begin with '-' come after --.", error.ctx
            ) from error


def _with_directory(args: Sequence[str]) -> Iterator[str]:
    """Yield *args*, with the default directory of ``--fetch`` if a script follows it: a file is none."""
    for option, follower in zip_longest(args, args[1:], fillvalue=""):
        is_script = option == "--fetch" and (follower == STDIN or Path(follower).is_file())
        yield "--fetch=." if is_script else option


def _followers(args: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield options with the word that follows their value, which may be a further value."""
    for place, option in enumerate(args):
        follower = "".join(args[place + 2 : place + 3])
        if option in _LISTS and follower and (follower == STDIN or not follower.startswith("-")):
            yield option, follower


def read_words(
    ctx: click.Context,
    words: Sequence[str],
    named_scripts: Sequence[str],
    inputs: Sequence[str],
    *,
    are_scripts: bool,
    is_rerun: bool,
) -> Words:
    """Return the meaning of *words* and of those after ``--``. Raises a usage error if it is unclear."""
    after: tuple[str, ...] = ctx.meta[_AFTER_DASHES]
    if is_rerun:
        return _of_rerun(words, named_scripts, after)
    if named_scripts and inputs and not are_scripts:  # the spelling of CloudQ 1.x
        _refuse_followers(ctx, ("--output",))
        return Words(tuple(named_scripts), (), after, (*inputs, *words))
    _refuse_followers(ctx, _LISTS)
    if are_scripts:
        return _of_scripts(words, named_scripts, after, inputs)
    if named_scripts:
        return Words(tuple(named_scripts), (), (*words, *after), tuple(inputs))
    if words:
        return Words((words[0],), (), (*words[1:], *after), tuple(inputs))
    if after:
        return Words((), after, (), tuple(inputs))
    raise click.UsageError("name a script, a command after --, or with --rerun a job to run again")


def _of_rerun(words: Sequence[str], named_scripts: Sequence[str], after: Sequence[str]) -> Words:
    if words or after:
        raise click.UsageError(
            f"unexpected argument {[*words, *after][0]!r}: --rerun keeps the arguments of the job"
        )
    if len(named_scripts) > 1:
        raise click.UsageError("--rerun takes one --script at most")
    return Words(tuple(named_scripts))


def _of_scripts(
    words: Sequence[str], named_scripts: Sequence[str], after: tuple[str, ...], inputs: Sequence[str]
) -> Words:
    scripts = (*named_scripts, *words)
    if not scripts:
        raise click.UsageError("--scripts: name at least one script")
    return Words(scripts, (), after, tuple(inputs))


def _refuse_followers(ctx: click.Context, options: Sequence[str]) -> None:
    for option, word in ctx.meta[_FOLLOWERS]:
        if option in options:
            raise click.UsageError(
                f"{word!r} after {option} is unclear: put scripts and arguments before {option} or after --, "
                f"and repeat {option} for each value"
            )


def checked_directory(text: str | None) -> str | None:
    """Return the directory of ``--fetch``. Raises a usage error for a file."""
    if text is not None and Path(text).is_file():
        raise click.UsageError(f"--fetch={text}: it is a file, not a directory")
    return text
