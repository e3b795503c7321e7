"""``cloudqcli stageout``."""

from __future__ import annotations

from pathlib import Path

import click

from cloudq.domain.errors import StagedOutInPart
from cloudq.entrypoints.cloudqcli.options import job_id_option, needs_id
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.options import common_options
from cloudq.entrypoints.shared.terminal import printable, show_message, show_progress


@click.command
@job_id_option
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
def command(session: Session, job_id: str | None, into: Path, unlimited: bool) -> None:
    """Download a job's script, inputs, outputs and logs into the new directory ID.

    It prints the path of the directory and overwrites nothing. The exit status is 16 if a part could
    not be downloaded but everything else was.
    """
    chosen = needs_id(job_id)
    with session.client() as client:
        show_progress(f"Downloading the files of job ({chosen}) …")
        try:
            target = client.stage_out(chosen, into, unlimited=unlimited, warn=show_message)
        except StagedOutInPart as error:
            click.echo(printable(str(error.target)))
            raise
        click.echo(printable(str(target)))
