"""A group of commands that imports the module of a command when the command is used."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from cloudq.entrypoints.shared.faults import faults_reported
from cloudq.entrypoints.shared.options import CommonOptions


class LazyGroup(click.Group):
    """A group of commands by name, each the object ``command`` in a module of *package*.

    Each run gets a new *session*, unless a test provides one.
    """

    def __init__(
        self,
        *args: Any,
        modules: Mapping[str, str],
        package: str,
        program: str,
        session: Callable[[], CommonOptions],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules
        self._package = package
        self._program = program
        self._session = session

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> click.Context:
        """Return the context of one run."""
        extra["obj"] = extra.get("obj") or self._session()
        return super().make_context(info_name, args, *more, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click passes it)
        """Return the names of the commands, in the order in which a user needs them."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command, whose module is imported now; None if there is none."""
        if cmd_name not in self._modules:
            return None
        module = importlib.import_module(f"{self._package}.{self._modules[cmd_name]}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; errors become a message and an exit status."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A finished command must not fail because the terminal does not use UTF-8.
            sys.stdout.reconfigure(errors="backslashreplace")
        with faults_reported(self._program, ctx):
            return super().invoke(ctx)
