"""``cloudqcli convert``."""

from __future__ import annotations

from pathlib import Path

import click

from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.options import common_options, option
from cloudq.entrypoints.shared.terminal import show_message


@click.command
@option("--script", required=True, metavar="FILE", help="The meta jobscript.")
@option("--system", required=True, metavar="SYSTEM", help="The system on which it would run.")
@option("--profile", default="", metavar="NAME", help="Profile of that system: local, slurm, …")
@option("--submit_opt", default="", metavar="OPTIONS", help="Options for that system's submit command.")
@option("--array_tid", metavar="RANGE", help="Task ids of an array job, such as 1-4 or 1-10:2.")
@common_options
@pass_session
def command(
    session: Session, script: str, system: str, profile: str, submit_opt: str, array_tid: str | None
) -> None:
    """Show a meta jobscript as converted for a system; nothing is submitted.

    Without --profile, cloudq uses the first that exists: your own profile with the system's name,
    the profile of this machine's agent if the agent has that name, a profile that comes with cloudq.
    """
    from cloudq.bootstrap.preview import conversion_preview  # noqa: PLC0415 (--help must not wait for it)

    preview = conversion_preview(session.config())
    shown = preview(Path(script), system, profile=profile, submit_opt=submit_opt, array_tid=array_tid)
    for warning in shown.warnings:
        show_message(warning)
    click.echo(shown.text, nl=False)
