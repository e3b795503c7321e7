"""``cloudqcli stageout``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudq.domain.errors import StagedOutInPart
from cloudq.entrypoints.cloudqcli.selection import Among, Jobs, jobs_option
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.options import common_options
from cloudq.entrypoints.shared.terminal import printable, show_message, show_progress

if TYPE_CHECKING:
    from cloudq.client import Client


@click.command
@jobs_option
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Directory in which to create ID.",
)
@click.option("--unlimited", is_flag=True, help="Unpack archives of any size.")
@common_options
@pass_session
def command(session: Session, jobs: Jobs, into: Path, unlimited: bool) -> None:
    """Download a job's script, inputs, outputs and logs into the new directory ID.

    It prints the path of the directory and overwrites nothing. The exit status is 16 if a part could
    not be downloaded but everything else was.
    """
    with session.client() as client:
        for job_id in jobs.ids(client, Among.FINISHED):
            with jobs.problem_kept():
                _stage_out(client, job_id, into, unlimited=unlimited)
    jobs.end()


def _stage_out(client: Client, job_id: str, into: Path, *, unlimited: bool) -> None:
    show_progress(f"Downloading the files of job ({job_id}) …")
    try:
        target = client.stage_out(job_id, into, unlimited=unlimited, warn=show_message)
    except StagedOutInPart as error:
        click.echo(printable(str(error.target)))
        raise
    click.echo(printable(str(target)))
