"""Options that every command has, in both spellings: ``--log_level`` and ``--log-level``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cloudq.entrypoints.shared.completion import COMPLETERS
from cloudq.entrypoints.shared.terminal import show_message

if TYPE_CHECKING:
    from cloudq.config import Config

Command = TypeVar("Command", bound=Callable[..., Any])

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class CommonOptions:
    """The values of the options that all commands have."""

    def __init__(self) -> None:
        self.config_file: Path | None = None
        self.level = ""

    def config(self) -> Config:
        """Return the configuration, and show its notices on stderr."""
        from cloudq.config import load_config  # noqa: PLC0415

        overrides = {"log.level": self.level} if self.level else {}
        config = load_config(os.environ, path=self.config_file, overrides=overrides)
        for notice in config.notices:
            show_message(notice)
        self.configure_logging()
        return config

    def known_jobs(self) -> Sequence[str]:
        """Return the ids of jobs that can be completed, without a request."""
        return ()

    def known_systems(self) -> Sequence[str]:
        """Return the names of systems that can be completed, without a request."""
        return ()

    def configure_logging(self) -> None:
        """Log to stderr if the user asked for it."""
        if self.level:
            from cloudq.entrypoints.shared.logging import configure_logging  # noqa: PLC0415

            configure_logging(self.level)


def option(name: str, *more: str, **settings: Any) -> Callable[[Command], Command]:
    """Return a click option; a name with underscores may be written with hyphens, too.

    Its values are completed as its metavar says.
    """
    spellings = dict.fromkeys((name, name[:2] + name[2:].replace("_", "-")))
    settings.setdefault("shell_complete", COMPLETERS.get(settings.get("metavar", "")))
    return click.option(*spellings, *more, **settings)


def common_options(command: Command) -> Command:
    """Add ``--config`` and ``--log_level``, which may come before or after the name of the command."""
    with_level = option(
        "--log_level",
        type=click.Choice(LEVELS, case_sensitive=False),
        expose_value=False,
        callback=_remember_level,
        metavar="LEVEL",
        help="Log to stderr from DEBUG, INFO, WARNING, ERROR or CRITICAL on; DEBUG shows tracebacks.",
    )
    with_config = click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        expose_value=False,
        callback=_remember_config,
        help="Configuration file instead of ~/.cloudq/config.toml.",
    )
    return with_level(with_config(command))


def _remember_level(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    given = ctx.ensure_object(CommonOptions)
    given.level = value or given.level


def _remember_config(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    given = ctx.ensure_object(CommonOptions)
    given.config_file = value or given.config_file


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
