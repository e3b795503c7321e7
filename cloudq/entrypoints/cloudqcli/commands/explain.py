"""``cloudqcli explain``."""

from __future__ import annotations

import click

from cloudq.domain.errors import JobNotFound
from cloudq.entrypoints.cloudqcli.explanation import explanation_lines, explanation_record
from cloudq.entrypoints.cloudqcli.options import job_id_option, needs_id
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option


@click.command
@job_id_option
@json_option
@common_options
@pass_session
def command(session: Session, job_id: str | None, as_json: bool) -> None:
    """Show why a job waits or failed, and what to do.

    For a waiting job: the jobs that must end first, agents that do not report, systems that cannot
    run it, and the reason that the scheduler gives. For a failed one: the exit code in words and the
    last lines of stderr, also of the first failed tasks of an array.
    """
    chosen = needs_id(job_id)
    with session.client() as client:
        try:
            explanation = client.explain(chosen)
        except JobNotFound as error:
            error.add_note(
                "It was deleted, or never submitted to this store. Ids: cloudqcli list; cloudqcli history"
            )
            raise
    if as_json:
        print_json(explanation_record(explanation))
        return
    for line in explanation_lines(explanation):
        click.echo(line)
