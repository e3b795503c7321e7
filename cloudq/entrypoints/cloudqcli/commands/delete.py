"""``cloudqcli delete``."""

from __future__ import annotations

import click

from cloudq.entrypoints.cloudqcli.options import job_id_option, one_of
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.options import common_options


@click.command
@job_id_option
@click.option("--all", "delete_all", is_flag=True, help="Delete every job that has ended.")
@click.option("--agent", metavar="SYSTEM", help="Delete the log of a system's agent.")
@click.option("--force", is_flag=True, help="Do not wait for an agent that has been away for long.")
@common_options
@pass_session
def command(session: Session, job_id: str | None, delete_all: bool, agent: str | None, force: bool) -> None:
    """Delete jobs that have ended, or an agent's log, from the store."""
    one_of(id=job_id, all=delete_all, agent=agent)
    if force and job_id is None:
        raise click.UsageError("--force requires --id")
    with session.client() as client:
        if agent is not None:
            client.delete_agent_log(agent)
            click.echo(f"Agent log ({agent}) is deleted.")
        elif job_id is not None:
            client.delete(job_id, force=force)
            click.echo(f"Job ({job_id}) is deleted.")
        else:
            for deleted in client.delete_finished():
                click.echo(f"Job ({deleted}) is deleted.")
