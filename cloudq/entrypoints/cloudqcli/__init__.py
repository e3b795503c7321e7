"""``cloudqcli``: the command line of a client.

Each command is a module that is imported when the command is used. A command imports the parts of cloudq that
it needs when it runs, so ``--help`` loads no store and no codec.
"""

from __future__ import annotations

import click

from cloudq import __version__
from cloudq.entrypoints.cloudqcli.session import Session
from cloudq.entrypoints.shared.group import LazyGroup
from cloudq.entrypoints.shared.options import common_options

_COMMANDS = {
    "init": "init",
    "submit": "submit",
    "convert": "convert",
    "stat": "status",
    "list": "active",
    "history": "history",
    "log": "log",
    "cancel": "cancel",
    "requeue": "requeue",
    "stageout": "stage_out",
    "delete": "delete",
    "agents": "agents",
    "doctor": "doctor",
}


@click.group(
    cls=LazyGroup,
    modules=_COMMANDS,
    package="cloudq.entrypoints.cloudqcli.commands",
    program="cloudqcli",
    session=Session,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="cloudqcli", message="%(prog)s %(version)s")
@common_options
def main() -> None:
    """Submit jobs to any system that has an agent, and get their results back.

    Results go to stdout, everything else to stderr. Exit statuses: docs/exit-statuses.md.
    """
