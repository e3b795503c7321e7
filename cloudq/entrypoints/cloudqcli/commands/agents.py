"""``cloudqcli agents``."""

from __future__ import annotations

import click

from cloudq.entrypoints.cloudqcli.agent_table import agent_lines
from cloudq.entrypoints.cloudqcli.output import agent_record
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option


@click.command
@click.option(
    "--long", "-l", "long", is_flag=True, help="Also show store checks, current work and last errors."
)
@json_option
@common_options
@pass_session
def command(session: Session, long: bool, as_json: bool) -> None:
    """List systems and the states of their agents.

    An agent that is away has not reported for too long; its jobs wait or run unobserved. An agent
    that is stopped was stopped by a user.
    """
    with session.client() as client:
        agents = client.agents()
    if as_json:
        print_json({"agents": [agent_record(agent) for agent in agents]})
        return
    for line in agent_lines(agents, long=long):
        click.echo(line)
