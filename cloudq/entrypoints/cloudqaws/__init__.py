"""``cloudqaws``: the command line of the builder of clusters on AWS.

It is organized like ``cloudqcli``: a command's module is imported when the command is used, and the parts of
cloudq that the command needs when it runs. It runs wherever a client runs.
"""

from __future__ import annotations

import click

from cloudq import __version__
from cloudq.entrypoints.cloudqaws.session import Session
from cloudq.entrypoints.shared.group import LazyGroup
from cloudq.entrypoints.shared.options import common_options

_COMMANDS = {"create": "create", "list": "show", "delete": "delete", "preset": "preset"}


@click.group(
    cls=LazyGroup,
    modules=_COMMANDS,
    package="cloudq.entrypoints.cloudqaws.commands",
    program="cloudqaws",
    session=Session,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="cloudqaws", message="%(prog)s %(version)s")
@common_options
def main() -> None:
    """Build clusters on AWS that run jobs from the bucket, and remove them.

    Results go to stdout, everything else to stderr. Exit statuses: docs/exit-statuses.md.
    """
