"""``cloudqd --confirm``: a person confirms that this home is the only one and that the bucket is right."""

from __future__ import annotations

import click

from cloudq.bootstrap.homes import confirm_home, doubt_of
from cloudq.entrypoints.cloudqd.request import Request
from cloudq.entrypoints.shared.terminal import printable


def run(request: Request) -> int:
    """Clear every doubt; a running agent starts jobs again from its next cycle on."""
    config = request.config()
    doubt = doubt_of(config)
    confirm_home(config)
    if doubt:
        click.echo(f"Confirmed; the agent of {config.agent.name} starts jobs again. Reason for the doubt:")
        click.echo(printable(doubt))
    else:
        click.echo(f"Confirmed; the home of {config.agent.name} was not in doubt.")
    return 0
