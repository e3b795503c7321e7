"""Options that several commands of ``cloudqcli`` share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from cloudq.entrypoints.shared.options import Command, option


def job_id_option(command: Command) -> Callable[..., Any]:
    """Accept ``--id ID`` or plain ``ID``; the command gets it as *job_id*, None if neither was given."""

    @functools.wraps(command)
    def with_id(*args: Any, plain_id: str | None, id_option: str | None, **kwargs: Any) -> Any:
        if plain_id is not None and id_option not in {None, plain_id}:
            raise click.UsageError(f"two jobs were named: {id_option} and {plain_id}")
        return command(*args, job_id=id_option or plain_id, **kwargs)

    with_option = click.option("--id", "id_option", metavar="ID", help="Id of the job.")
    return click.argument("plain_id", required=False, metavar="[ID]")(with_option(with_id))


def job_ids_option(name: str, *, help: str) -> Callable[[Command], Command]:  # noqa: A002 (as click has it)
    """Accept ``ID,ID,…``; the command gets the ids, which are not checked yet."""
    return option(name, default="", metavar="ID,…", callback=_job_ids, help=help)


def _job_ids(_: click.Context, __: click.Parameter, text: str) -> tuple[str, ...]:
    from cloudq.domain.jobs.dependency import job_ids  # noqa: PLC0415 (--help must not wait for it)

    return job_ids(text)


fresh_option = click.option(
    "--fresh", is_flag=True, help="First ask the agents for the present states; wait up to 12 s for them."
)


def one_of(**given: object) -> str:
    """Return the name of the only option that was given. Raises a usage error for none or several."""
    chosen = [name for name, value in given.items() if value]
    if len(chosen) != 1:
        names = [f"--{name}" for name in given]
        raise click.UsageError(f"name one of {', '.join(names[:-1])} and {names[-1]}")
    return chosen[0]


def needs_id(job_id: str | None) -> str:
    """Return the id; raise a usage error if there is none."""
    if not job_id:
        raise click.UsageError("name a job with --id ID")
    return job_id
