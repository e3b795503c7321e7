"""``cloudqcli stageout``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudq.domain.errors import StagedOutInPart
from cloudq.entrypoints.cloudqcli.output import begun
from cloudq.entrypoints.cloudqcli.selection import Among, Jobs, jobs_option
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.options import common_options
from cloudq.entrypoints.shared.terminal import copy_to_stdout, printable
from cloudq.entrypoints.shared.transfer import shown_transfer

if TYPE_CHECKING:
    from cloudq.client import Client

THE_ONLY_ONE = "-"
"""Stands for the output file of a job that has just one."""


@click.command
@jobs_option
@click.option(
    "--into", type=click.Path(path_type=Path), metavar="DIR", help="Directory in which to create ID."
)
@click.option("--only", multiple=True, metavar="GLOB", help="Only files that match; may be repeated.")
@click.option("--cat", metavar="FILE", help="Print one output file instead; '-' if there is only one.")
@click.option("--unlimited", is_flag=True, help="Unpack archives of any size.")
@common_options
@pass_session
def command(
    session: Session,
    jobs: Jobs,
    into: Path | None,
    only: tuple[str, ...],
    cat: str | None,
    unlimited: bool,
) -> None:
    """Download a job's script, inputs, outputs and logs into the new directory ID.

    It prints the path of the directory and overwrites nothing. If the job has not ended, or with --only,
    the directory contains a file INCOMPLETE, and the same command completes it later. The exit status
    is 16 if a part could not be downloaded but everything else was.
    """
    if cat is not None and (into is not None or only or unlimited):
        raise click.UsageError("--cat prints a file; --into, --only and --unlimited are for a directory")
    with session.client() as client:
        for job_id in jobs.ids(client, Among.FINISHED):
            with jobs.problem_kept():
                if cat is None:
                    _stage_out(client, job_id, into or Path(), only, unlimited=unlimited)
                else:
                    _print_file(client, job_id, cat)
    jobs.end()


def _stage_out(client: Client, job_id: str, into: Path, only: tuple[str, ...], *, unlimited: bool) -> None:
    try:
        with shown_transfer(f"Job ({job_id})") as transfer:
            target = client.stage_out(
                job_id, into, only=only, unlimited=unlimited, warn=transfer.warn, progress=transfer.show
            )
    except StagedOutInPart as error:
        click.echo(printable(str(error.target)))
        raise
    click.echo(printable(str(target)))


def _print_file(client: Client, job_id: str, name: str) -> None:
    pattern = "*" if name == THE_ONLY_ONE else name
    with shown_transfer(f"Job ({job_id})") as transfer:
        pieces = begun(client.output_file(job_id, pattern, progress=transfer.show))
    copy_to_stdout(pieces)
