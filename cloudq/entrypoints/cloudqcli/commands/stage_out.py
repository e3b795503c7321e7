"""``cloudqcli stageout``."""

from __future__ import annotations

from pathlib import Path

import click

from cloudq.entrypoints.cloudqcli.options import common_options, job_id_option, needs_id
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.terminal import printable, tell_progress


@click.command
@job_id_option
@click.option(
    "--into", type=click.Path(path_type=Path), default=Path(), metavar="DIR", help="Directory to put it into."
)
@common_options
@pass_session
def command(session: Session, job_id: str | None, into: Path) -> None:
    """Download a job's script, inputs, outputs and logs into the new directory ID.

    Nothing is overwritten. The directory is printed.
    """
    chosen = needs_id(job_id)
    with session.client() as client:
        tell_progress(f"Downloading the files of job ({chosen}) …")
        click.echo(printable(str(client.stage_out(chosen, into))))
