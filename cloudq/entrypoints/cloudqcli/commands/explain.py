"""``cloudqcli explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudq.domain.errors import JobNotFound
from cloudq.entrypoints.cloudqcli.explanation import explanation_lines, explanation_record
from cloudq.entrypoints.cloudqcli.selection import Among, Jobs, named_jobs_option
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option

if TYPE_CHECKING:
    from cloudq.application.client.explain_job import Explanation
    from cloudq.client import Client


@click.command
@named_jobs_option
@json_option
@common_options
@pass_session
def command(session: Session, jobs: Jobs, as_json: bool) -> None:
    """Show why jobs wait or failed, and what to do.

    For a waiting job: the jobs that must end first, agents that do not report, systems that cannot
    run it, and the reason that the scheduler gives. For a failed one: the exit code in words and the
    last lines of stderr, also of the first failed tasks of an array. JSON of several jobs is a list.
    """
    explanations = []
    with session.client() as client:
        for job_id in jobs.ids(client, Among.ALL):
            with jobs.problem_kept():
                explanations.append(_explained(client, job_id))
    if as_json:
        documents = [explanation_record(explanation) for explanation in explanations]
        print_json(documents if jobs.are_several else documents[0])
    else:
        screens = ("\n".join(explanation_lines(explanation)) for explanation in explanations)
        click.echo("\n\n".join(screens), nl=bool(explanations))
    jobs.end()


def _explained(client: Client, job_id: str) -> Explanation:
    """Return the explanation; an error about a job that is not there has a note with its likely cause."""
    try:
        return client.explain(job_id)
    except JobNotFound as error:
        error.add_note(
            "It was deleted, or never submitted to this store. Ids: cloudqcli list; cloudqcli history"
        )
        raise
