"""Options that several commands of ``cloudqcli`` share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from cloudq.entrypoints.shared.options import Command, option


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


def job_ids_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the ids in *texts*, which may have commas, each once."""
    ids = (part.strip() for text in texts for part in text.split(","))
    return tuple(dict.fromkeys(filter(None, ids)))
