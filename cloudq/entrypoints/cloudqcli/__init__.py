"""``cloudqcli``: the command line of a client.

Each command is a module that is imported when the command is used, so ``--help`` loads no store and no codec.
"""

from __future__ import annotations

import click

from cloudq import __version__
from cloudq.entrypoints.cloudqcli.help_texts import EXAMPLES, MEANT
from cloudq.entrypoints.cloudqcli.session import Session
from cloudq.entrypoints.shared.group import LazyGroup, Listed
from cloudq.entrypoints.shared.options import common_options

_COMMANDS = {
    "init": Listed("init", "Write a configuration file with a comment for every key."),
    "submit": Listed("submit", "Submit a jobscript or a command."),
    "convert": Listed("convert", "Show a meta jobscript as converted for a system."),
    "wait": Listed("wait", "Wait until jobs have ended."),
    "stat": Listed("status", "Show everything about jobs."),
    "explain": Listed("explain", "Show why jobs wait or failed, and what to do."),
    "list": Listed("active", "List jobs that have not ended."),
    "watch": Listed("watch", "Keep a table of jobs up to date on the terminal."),
    "history": Listed("history", "List jobs that have ended, the most recent first."),
    "log": Listed("log", "Show the log of a job or of an agent."),
    "cancel": Listed("cancel", "Cancel jobs, or one task of an array job."),
    "requeue": Listed("requeue", "Offer a job that makes no progress again."),
    "stageout": Listed("stage_out", "Download the files of jobs into new directories."),
    "delete": Listed("delete", "Delete jobs that have ended, or an agent's log."),
    "agents": Listed("agents", "List systems and the states of their agents."),
    "doctor": Listed("doctor", "Find problems, and show how to fix them."),
    "completion": Listed("completion", "Print the script that completes commands in a shell."),
}


@click.group(
    cls=LazyGroup,
    commands=_COMMANDS,
    package="cloudq.entrypoints.cloudqcli.commands",
    program="cloudqcli",
    session=Session,
    examples=EXAMPLES,
    meant=MEANT,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="cloudqcli", message="%(prog)s %(version)s")
@common_options
def main() -> None:
    """Submit jobs to any system that has an agent, and get their results back.

    Results go to stdout, everything else to stderr.

    Exit statuses: docs/exit-statuses.md.
    """
