"""``cloudqaws``: the command line of the builder of clusters on AWS.

It is organized like ``cloudqcli``: a command's module is imported when the command is used. It runs wherever
a client runs.
"""

from __future__ import annotations

import click

from cloudq import __version__
from cloudq.entrypoints.cloudqaws.help_texts import EXAMPLES, MEANT
from cloudq.entrypoints.cloudqaws.session import Session
from cloudq.entrypoints.shared.group import LazyGroup, Listed
from cloudq.entrypoints.shared.options import common_options

_COMMANDS = {
    "create": Listed("create", "Create a cluster with an agent on its head node."),
    "list": Listed("show", "List the requested clusters in the region of the profile."),
    "delete": Listed("delete", "Delete a cluster with all its machines."),
    "preset": Listed("preset", "Copy a preset so that you can edit it."),
}


@click.group(
    cls=LazyGroup,
    commands=_COMMANDS,
    package="cloudq.entrypoints.cloudqaws.commands",
    program="cloudqaws",
    session=Session,
    examples=EXAMPLES,
    meant=MEANT,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="cloudqaws", message="%(prog)s %(version)s")
@common_options
def main() -> None:
    """Build clusters on AWS that run jobs from the bucket, and remove them.

    Results go to stdout, everything else to stderr.

    Exit statuses: docs/exit-statuses.md.
    """
