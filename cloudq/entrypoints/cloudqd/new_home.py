"""``cloudqd --new-home``: give a copied home its own identity."""

from __future__ import annotations

import click

from cloudq.bootstrap.agent_process import AgentProcess
from cloudq.bootstrap.homes import make_home_anew
from cloudq.entrypoints.cloudqd.daemon import refuse_second
from cloudq.entrypoints.cloudqd.request import Request
from cloudq.entrypoints.shared.terminal import printable


def run(request: Request) -> int:
    """Set aside what belongs to the original. Raises `AgentRunsAlready` while an agent runs here."""
    config = request.config()
    refuse_second(AgentProcess(config), config)
    aside = make_home_anew(config)
    click.echo(f"{printable(str(config.home))} has an identity of its own now.")
    for path in aside:
        click.echo(f"Put aside, remove it when nobody needs it: {printable(str(path))}")
    return 0
