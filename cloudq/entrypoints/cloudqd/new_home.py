"""``cloudqd --new-home``: give a copied home its own identity."""

from __future__ import annotations

import click

from cloudq.bootstrap.homes import give_new_identity
from cloudq.bootstrap.own_agent import agent_process
from cloudq.entrypoints.cloudqd.daemon import refuse_second
from cloudq.entrypoints.cloudqd.request import Request
from cloudq.entrypoints.shared.terminal import printable


def run(request: Request) -> int:
    """Set aside what belongs to the original. Raises `AgentRunsAlready` while an agent runs here."""
    config = request.config()
    refuse_second(agent_process(config), config)
    aside = give_new_identity(config)
    click.echo(f"{printable(str(config.home))} now has its own identity.")
    for path in aside:
        click.echo(f"Set aside; remove it when you no longer need it: {printable(str(path))}")
    return 0
