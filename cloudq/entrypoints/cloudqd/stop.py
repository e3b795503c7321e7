"""``cloudqd --stop``: ask the agent that runs here to end, and wait until it has."""

from __future__ import annotations

import click

from cloudq.bootstrap.own_agent import AgentProcess, agent_process
from cloudq.domain.errors import WaitTimedOut
from cloudq.entrypoints.cloudqd.request import NOT_RUNNING, Request
from cloudq.entrypoints.shared.terminal import printable, show_message, show_progress

STOP_WITHIN_S = 120.0


def run(request: Request) -> int:
    """Stop the agent of this home on this host; it is no error if none runs."""
    config = request.config()
    here = agent_process(config)
    agent = here.running()
    if agent is None:
        return _nothing_to_stop(here, config.agent.name)
    show_progress("Waiting until the agent finishes its current step …")
    here.ask_to_end(agent)
    if not here.wait_for_end(agent, STOP_WITHIN_S):
        raise WaitTimedOut(
            f"The agent of {config.agent.name} (pid {agent.pid}) was asked to end but is still finishing "
            f"a step after {STOP_WITHIN_S:.0f} s; check again with: cloudqd --status"
        )
    click.echo(f"The agent of {config.agent.name} has ended; its jobs continue.")
    return 0


def _nothing_to_stop(here: AgentProcess, system: str) -> int:
    hosts = here.elsewhere()
    if hosts:
        show_message(f"An agent of {system} was started on {printable(', '.join(hosts))}: stop it there.")
        return NOT_RUNNING
    show_message(f"No agent of {system} runs here.")
    return 0
