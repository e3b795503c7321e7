"""``cloudqcli stageout``."""

from __future__ import annotations

from pathlib import Path

import click

from cloudq.domain.errors import StagedOutInPart
from cloudq.entrypoints.cloudqcli.options import job_id_option, needs_id
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.options import common_options
from cloudq.entrypoints.shared.terminal import printable, tell, tell_progress


@click.command
@job_id_option
@click.option(
    "--into", type=click.Path(path_type=Path), default=Path(), metavar="DIR", help="Directory to put it into."
)
@click.option("--unlimited", is_flag=True, help="Unpack whatever size the archives are.")
@common_options
@pass_session
def command(session: Session, job_id: str | None, into: Path, unlimited: bool) -> None:
    """Download a job's script, inputs, outputs and logs into the new directory ID.

    Nothing is overwritten. The directory is printed. Exit status 16: a part could not be brought, and
    everything else was.
    """
    chosen = needs_id(job_id)
    with session.client() as client:
        tell_progress(f"Downloading the files of job ({chosen}) …")
        try:
            target = client.stage_out(chosen, into, unlimited=unlimited, warn=tell)
        except StagedOutInPart as error:
            click.echo(printable(str(error.target)))
            raise
        click.echo(printable(str(target)))
