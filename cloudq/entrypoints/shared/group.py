"""A group of commands with a table: the module of a command is imported only when the command is used."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cloudq.entrypoints.shared.faults import faults_reported
from cloudq.entrypoints.shared.help import (
    did_you_mean,
    with_examples,
    write_common_options,
    write_examples,
    write_own_options,
)
from cloudq.entrypoints.shared.options import CommonOptions

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Listed(NamedTuple):
    """A command as its group lists it."""

    module: str
    """The module of the group's package that contains it, as the object ``command``."""
    help: str
    """What it does, on one line."""


class LazyGroup(click.Group):
    """A group of *commands* by name, in the order in which a user needs them; their modules are in *package*.

    Each run gets a new *session*, unless a test provides one. *examples* are by command; those of the group
    are under an empty name. *meant* has what to type instead of commands that users know from elsewhere.
    """

    def __init__(
        self,
        *args: Any,
        commands: Mapping[str, Listed],
        package: str,
        program: str,
        session: Callable[[], CommonOptions],
        examples: Mapping[str, Sequence[str]],
        meant: Mapping[str, str],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._examples = examples
        self._meant = meant
        self._commands = commands
        self._package = package
        self._program = program
        self._session = session

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> click.Context:
        """Return the context of one run."""
        extra["obj"] = extra.get("obj") or self._session()
        return super().make_context(info_name, args, *more, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click passes it)
        """Return the names of the commands."""
        return list(self._commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command, whose module is imported now; None if there is none."""
        if cmd_name not in self._commands:
            return None
        module = importlib.import_module(f"{self._package}.{self._commands[cmd_name].module}")
        return with_examples(module.command, self._examples.get(cmd_name, ()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that *args* name; suggest another one for a name that is none."""
        name = args[0]
        if name not in self._commands and not name.startswith("-") and not ctx.resilient_parsing:
            hint = did_you_mean(name, self._commands, self._meant)
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, the examples and the options."""
        write_own_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)
        write_examples(self._examples.get("", ()), formatter)
        write_common_options(self, ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin with *incomplete*; no command's module is imported."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 (--help must not wait for it)

        commands = [
            CompletionItem(name, help=listed.help)
            for name, listed in self._commands.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands from the table, without their modules."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, listed.help) for name, listed in self._commands.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; errors become a message and an exit status."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A finished command must not fail because the terminal does not use UTF-8.
            sys.stdout.reconfigure(errors="backslashreplace")
        with faults_reported(self._program, ctx):
            return super().invoke(ctx)
