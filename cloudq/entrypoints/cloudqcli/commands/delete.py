"""``cloudqcli delete``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.cloudqcli.holding import is_user_asked, require_consent, yes_option
from cloudq.entrypoints.cloudqcli.options import one_of
from cloudq.entrypoints.cloudqcli.selection import Among, Jobs, jobs_option
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.options import common_options, option
from cloudq.entrypoints.shared.terminal import show_message

if TYPE_CHECKING:
    from cloudq.client import Client

NOT_DELETED = 7


@click.command
@jobs_option
@click.option("--all", "delete_all", is_flag=True, help="Delete every job that has ended.")
@option("--agent", metavar="SYSTEM", help="Delete the log of a system's agent.")
@click.option("--force", is_flag=True, help="Do not wait for an agent that has been away for long.")
@yes_option
@common_options
@pass_session
def command(
    session: Session, jobs: Jobs, delete_all: bool, agent: str | None, force: bool, yes: bool
) -> None:
    """Delete jobs that have ended, or an agent's log, from the store.

    On a terminal, the command shows how many jobs it would delete and asks for confirmation, unless it
    is one job without --force.
    """
    one_of(id=jobs.are_given, all=delete_all, agent=agent)
    if force and not jobs.are_given:
        raise click.UsageError("--force requires --id")
    with session.client() as client:
        if agent is not None:
            client.delete_agent_log(agent)
            click.echo(f"Agent log ({agent}) is deleted.")
        elif delete_all:
            _delete_all(client, yes=yes)
        else:
            _delete_chosen(client, jobs, force=force, yes=yes)
    jobs.end()


def _delete_all(client: Client, *, yes: bool) -> None:
    """Delete every finished job; on a terminal, only those that were counted before the question."""
    counted: set[str] | None = None
    if is_user_asked(yes=yes):
        counted = {entry.job_id for entry in client.history()}
        require_consent(_question(len(counted)), yes=False)
    for job_id in client.delete_finished(counted):
        click.echo(f"Job ({job_id}) is deleted.")


def _delete_chosen(client: Client, jobs: Jobs, *, force: bool, yes: bool) -> None:
    job_ids = jobs.ids(client, Among.FINISHED)
    if len(job_ids) > 1 or force:
        require_consent(_question(len(job_ids)), yes=yes)
    if jobs.are_selected and not force:
        _delete_at_once(client, job_ids)
        return
    for job_id in job_ids:
        with jobs.problem_kept():
            client.delete(job_id, force=force)
            click.echo(f"Job ({job_id}) is deleted.")


def _delete_at_once(client: Client, job_ids: tuple[str, ...]) -> None:
    """Delete jobs with few requests, and name those that their agents have not put away yet."""
    kept = dict.fromkeys(job_ids)
    for job_id in client.delete_finished(kept.copy()):
        kept.pop(job_id, None)
        click.echo(f"Job ({job_id}) is deleted.")
    if kept:
        show_message(f"Not deleted, because their agents still clean up: {', '.join(kept)}. Try again later.")
        click.get_current_context().exit(NOT_DELETED)


def _question(count: int) -> str:
    return f"Delete {count} {'job' if count == 1 else 'jobs'} with all files?"
