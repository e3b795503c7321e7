"""Options that several commands share, in both spellings: ``--log_level`` and ``--log-level``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from cloudq.entrypoints.cloudqcli.session import Session

Command = TypeVar("Command", bound=Callable[..., Any])

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def option(name: str, *more: str, **settings: Any) -> Callable[[Command], Command]:
    """A click option; a name with underscores is accepted with hyphens, too."""
    spellings = dict.fromkeys((name, name[:2] + name[2:].replace("_", "-")))
    return click.option(*spellings, *more, **settings)


def common_options(command: Command) -> Command:
    """``--config`` and ``--log_level``, before or after the name of the command."""
    with_level = option(
        "--log_level",
        type=click.Choice(LEVELS, case_sensitive=False),
        expose_value=False,
        callback=_remember_level,
        help="Log to stderr from this level on; DEBUG shows tracebacks.",
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
    session = ctx.ensure_object(Session)
    session.level = value or session.level


def _remember_config(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    session = ctx.ensure_object(Session)
    session.config_file = value or session.config_file


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
wait_option = functools.partial(click.option, "--wait", is_flag=True)


def job_id_option(command: Command) -> Callable[..., Any]:
    """``--id ID`` or plain ``ID``; the command gets it as *job_id*, None if neither was given."""

    @functools.wraps(command)
    def with_id(*args: Any, plain_id: str | None, id_option: str | None, **kwargs: Any) -> Any:
        if plain_id is not None and id_option not in {None, plain_id}:
            raise click.UsageError(f"two jobs were named: {id_option} and {plain_id}")
        return command(*args, job_id=id_option or plain_id, **kwargs)

    with_option = click.option("--id", "id_option", metavar="ID", help="Id of the job.")
    return click.argument("plain_id", required=False, metavar="[ID]")(with_option(with_id))


def one_of(**given: object) -> str:
    """Which one of several options was given. Raises a usage error for none or several."""
    chosen = [name for name, value in given.items() if value]
    if len(chosen) != 1:
        names = [f"--{name}" for name in given]
        raise click.UsageError(f"name one of {', '.join(names[:-1])} and {names[-1]}")
    return chosen[0]


def needs_id(job_id: str | None) -> str:
    """The id; a usage error without one."""
    if not job_id:
        raise click.UsageError("name a job with --id ID")
    return job_id
