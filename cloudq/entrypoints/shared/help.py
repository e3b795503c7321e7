"""Help pages: examples, and the options that every command has in one block at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

COMMON = frozenset({"--config", "--log_level", "--json", "--version", "--help", "-h"})
"""The options of the last block."""


class Command(click.Command):
    """A command whose help page has *examples*: lines as a user types them.

    *meant* names the options for words that users may type as if they were commands.
    """

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str] = (),
        meant: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self._meant = meant or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; suggest an option for a word that is none."""
        if args and self._meant and not args[0].startswith("-"):
            words = {*self._meant, *(opt.lstrip("-") for option in self.params for opt in option.opts)}
            hint = did_you_mean(args[0], words, {word: f"--{word}" for word in words} | dict(self._meant))
            raise click.UsageError(f"Got unexpected argument {args[0]!r}.{hint}", ctx)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of this command, the examples, and the options that all commands have."""
        write_own_options(self, ctx, formatter)
        write_examples(self.examples, formatter)
        write_common_options(self, ctx, formatter)


def with_examples(command: click.Command, examples: Sequence[str]) -> Command:
    """Return *command* as one whose help page has *examples*."""
    kind = type(command) if isinstance(command, Command) else Command
    return kind(
        command.name,
        context_settings=command.context_settings,
        callback=command.callback,
        params=command.params,
        help=command.help,
        epilog=command.epilog,
        options_metavar=command.options_metavar,
        add_help_option=command.add_help_option,
        no_args_is_help=command.no_args_is_help,
        hidden=command.hidden,
        deprecated=command.deprecated,
        examples=examples,
    )


def write_own_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the options that other commands do not have."""
    _write(formatter, "Options", _records(command, ctx, are_common=False))


def write_common_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the options that all commands have."""
    _write(formatter, "Common options", _records(command, ctx, are_common=True))


def write_examples(examples: Sequence[str], formatter: click.HelpFormatter) -> None:
    """Write examples as they are typed, one a line, never wrapped."""
    if not examples:
        return
    with formatter.section("Examples"):
        for example in examples:
            formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def did_you_mean(word: str, known: Iterable[str], meant: Mapping[str, str]) -> str:
    """Return a question about what *word* is meant to be, if that can be guessed; else an empty text.

    *meant* has what to type instead of words that users know from other programs, or of *known* ones.
    """
    from difflib import get_close_matches  # noqa: PLC0415 (only an error needs it)

    close = [word] if word in meant else get_close_matches(word, sorted({*known, *meant}), n=1)
    return "".join(f" Did you mean '{meant.get(name, name)}'?" for name in close)


def _records(command: click.Command, ctx: click.Context, *, are_common: bool) -> list[tuple[str, str]]:
    chosen = [
        param
        for param in command.get_params(ctx)
        if isinstance(param, click.Option) and (not COMMON.isdisjoint(param.opts)) is are_common
    ]
    return [record for param in chosen if (record := param.get_help_record(ctx)) is not None]


def _write(formatter: click.HelpFormatter, title: str, records: list[tuple[str, str]]) -> None:
    if records:
        with formatter.section(title):
            formatter.write_dl(records)
