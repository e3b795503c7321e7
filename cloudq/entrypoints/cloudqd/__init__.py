"""``cloudqd``: the agent of one system."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import click

from cloudq import __version__
from cloudq.entrypoints.cloudqd.request import Request
from cloudq.entrypoints.shared.faults import faults_reported
from cloudq.entrypoints.shared.help import Command

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_MODES = ("daemon", "detach", "status", "stop", "confirm", "new_home", "acceptance")


MEANT = {
    "start": "--daemon --detach", "run": "--daemon", "up": "--daemon --detach", "down": "--stop",
    "kill": "--stop", "end": "--stop", "show": "--status", "ps": "--status", "ls": "--status",
    "info": "--status", "test": "--acceptance", "check": "--acceptance", "reset": "--new_home",
    "once": "without an option", "version": "--version", "help": "--help",
}  # fmt: skip
"""What to type instead of words that people try."""

EXAMPLES = (
    "cloudqd --daemon --detach",
    "cloudqd --status",
    "cloudqd --stop",
    "cloudqd --acceptance --submit_opt '-p debug'",
)


@click.command(
    cls=Command,
    examples=EXAMPLES,
    meant=MEANT,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--daemon", is_flag=True, help="Run until stopped, in the foreground.")
@click.option("--detach", is_flag=True, help="With --daemon: run in the background.")
@click.option("--status", is_flag=True, help="Show whether an agent acts for this system.")
@click.option("--stop", is_flag=True, help="Stop the agent that runs here; its jobs continue.")
@click.option("--confirm", is_flag=True, help="Confirm that this is the only home, and the bucket correct.")
@click.option("--new_home", "--new-home", is_flag=True, help="Give a copied home a new identity.")
@click.option(
    "--acceptance", is_flag=True, help="Test cloudq on the scheduler of this site, without a store."
)
@click.option(
    "--submit_opt",
    "--submit-opt",
    default="",
    metavar="TEXT",
    help="With --acceptance: options that every job needs here, such as a project.",
)
@click.option(
    "--within",
    "within_min",
    type=click.FloatRange(min=1),
    default=30,
    show_default=True,
    metavar="MINUTES",
    help="With --acceptance: how long to wait for jobs.",
)
@click.option("--json", "as_json", is_flag=True, help="With --status or --acceptance: print JSON.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Configuration file.")
@click.option("--name", metavar="SYSTEM", help="Act for this system instead of [agent] name.")
@click.option("--num_procs", "--num-procs", metavar="N", help="Submit commands that may run at once.")
@click.option(
    "--log_level",
    "--log-level",
    type=click.Choice(_LEVELS, case_sensitive=False),
    metavar="LEVEL",
    help="Lowest level to log: DEBUG, INFO, WARNING, ERROR or CRITICAL.",
)
@click.option("--allow_root", "--allow-root", is_flag=True, help="Run as root, and every job with it.")
@click.option("--quiet", is_flag=True, help="Log to the file only.")
@click.version_option(__version__, prog_name="cloudqd", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context, /, **options: Any) -> None:
    """Run the agent of this system: take jobs, submit them to the scheduler, upload results.

    Without an option, it runs one cycle, as for cron.

    Exit statuses: docs/exit-statuses.md.
    """
    request = Request.of(options)
    ctx.obj = request
    with faults_reported("cloudqd", ctx):
        ctx.exit(_run_mode(request, options))


def _run_mode(request: Request, options: dict[str, Any]) -> int:
    """Run the module of the requested mode; return the exit status."""
    chosen = {mode for mode in _MODES if options[mode]} - ({"daemon"} if options["detach"] else set())
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(f'--{mode}' for mode in sorted(chosen))} exclude each other")
    mode = chosen.pop() if chosen else "once"
    run = importlib.import_module(f"cloudq.entrypoints.cloudqd.{mode}").run
    status: int = run(request)
    return status
