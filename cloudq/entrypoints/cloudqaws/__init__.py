"""``cloudqaws``: the command line of the builder of clusters on AWS.

It is organized like ``cloudqcli``: a command's module is imported when the command is used. It runs wherever
a client runs.
"""

from __future__ import annotations

import click

from cloudq import __version__
from cloudq.entrypoints.cloudqaws.session import Session
from cloudq.entrypoints.shared.group import LazyGroup, Listed
from cloudq.entrypoints.shared.options import common_options

_COMMANDS = {
    "create": Listed("create", "Create a cluster with an agent on its head node."),
    "list": Listed("show", "List the requested clusters in the region of the profile."),
    "delete": Listed("delete", "Delete a cluster with all its machines."),
    "preset": Listed("preset", "Copy a preset so that you can edit it."),
}

_MEANT = {
    "ls": "list", "show": "list", "status": "list", "ps": "list", "clusters": "list", "describe": "list",
    "rm": "delete", "remove": "delete", "destroy": "delete", "down": "delete", "kill": "delete",
    "up": "create", "new": "create", "start": "create", "launch": "create", "build": "create",
    "copy": "preset", "presets": "preset", "help": "--help", "version": "--version",
}  # fmt: skip
"""What to type instead of words that other programs have, or that people try."""

_EXAMPLES = (
    "cloudqaws create --name my-cluster --keypair my-key --dry_run",
    "cloudqaws create --name my-cluster --keypair my-key",
    "cloudqaws list",
    "cloudqaws delete --name my-cluster",
)


@click.group(
    cls=LazyGroup,
    commands=_COMMANDS,
    package="cloudq.entrypoints.cloudqaws.commands",
    program="cloudqaws",
    session=Session,
    examples=_EXAMPLES,
    meant=_MEANT,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="cloudqaws", message="%(prog)s %(version)s")
@common_options
def main() -> None:
    """Build clusters on AWS that run jobs from the bucket, and remove them.

    Results go to stdout, everything else to stderr. Exit statuses: docs/exit-statuses.md.
    """
