"""``cloudqcli agents``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.cloudqcli.agent_table import AGENT_COLUMNS, agent_lines
from cloudq.entrypoints.cloudqcli.output import agent_record
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.columns import TableOptions, table_options
from cloudq.entrypoints.shared.drawing import show_table
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option
from cloudq.entrypoints.shared.terminal import is_read_by_user, show_message

if TYPE_CHECKING:
    from cloudq.application.shared.list_agents import AgentReport


@click.command
@click.option(
    "--long", "-l", "long", is_flag=True, help="Also show store checks, current work and last errors."
)
@table_options(AGENT_COLUMNS)
@json_option
@common_options
@pass_session
def command(session: Session, long: bool, table: TableOptions[AgentReport], as_json: bool) -> None:
    """List systems and the states of their agents.

    An agent that is away has not reported for too long; its jobs wait or run unobserved. An agent
    that is stopped was stopped by a user.
    """
    with session.client() as client:
        reports, now = client.agents(), client.now()
        client.memory.note_systems(agent.system for agent in reports)
    agents = tuple(table.sorted(reports))
    if as_json:
        print_json({"agents": [agent_record(agent) for agent in agents]})
    elif is_read_by_user() and not agents:
        show_message("No agent has ever reported. Start one on a system: cloudqd --daemon")
    elif is_read_by_user():
        show_table(table.with_notes() if long else table, agents, now, full_notes=long)
    else:
        lines = table.plain_lines(agents) if table.chosen else agent_lines(agents, long=long)
        for line in lines:
            click.echo(line)
