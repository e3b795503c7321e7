"""``cloudqcli doctor``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from cloudq.application.doctor.examine import examine
from cloudq.bootstrap.doctor import machine_checks
from cloudq.domain.errors import CloudqError, ConfigProblem
from cloudq.domain.finding import Finding, Level, Remedy
from cloudq.entrypoints.cloudqcli.session import Session, pass_session
from cloudq.entrypoints.shared.drawing import GAP, terminal
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option
from cloudq.entrypoints.shared.terminal import PassingLine, is_read_by_user, printable

SOMETHING_IS_WRONG = 1
LEVEL_COLUMNS = 13
CHECK_COLUMNS = 20
LEVEL_STYLES = {
    Level.OK: "green",
    Level.WARNING: "yellow",
    Level.PROBLEM: "bold red",
    Level.NOT_ASKED: "bold red",
}

COMMANDS = {
    Remedy.START_AGENT: "cloudqd --daemon",
    Remedy.REPLACE_AGENT: "cloudqd --daemon, cloudqcli requeue, cloudqcli cancel --force",
    Remedy.READ_AGENT_LOG: "cloudqcli log --agent {subject}",
    Remedy.REQUEUE: "cloudqcli requeue --id {subject}",
    Remedy.DELETE: "cloudqcli delete",
    Remedy.COLLECT: "cloudqcli doctor --collect",
}
"""What to type for each remedy."""


@click.command
@click.option(
    "--deep", is_flag=True, help="Also write and list more than 1,000 small objects, and race more writers."
)
@click.option("--collect", is_flag=True, help="End incomplete submissions and remove orphans.")
@json_option
@common_options
@pass_session
def command(session: Session, deep: bool, collect: bool, as_json: bool) -> None:
    """Find problems, and show how to fix them.

    The command checks the configuration, the store, agents and jobs; on a machine with an agent,
    also its scheduler and directories. The exit status is 1 if there is a problem, or if something
    could not be checked.
    """
    findings = []
    line = PassingLine()
    try:
        for finding in _findings(session, line, deep=deep, collect=collect):
            findings.append(finding)
            if not as_json:
                line.erase()
                _show(finding)
    finally:
        line.erase()
    if as_json:
        print_json({"findings": [_record(finding) for finding in findings]})
    if any(finding.is_bad for finding in findings):
        click.get_current_context().exit(SOMETHING_IS_WRONG)


def _findings(session: Session, line: PassingLine, *, deep: bool, collect: bool) -> Iterator[Finding]:
    try:
        config = session.config()
    except ConfigProblem as error:
        for problem in error.problems:
            yield Finding(
                Level.PROBLEM, "configuration", problem, "correct it; docs/configuration.md lists all keys"
            )
        yield Finding(Level.NOT_ASKED, "store", "needs a valid configuration")
        return

    def show_check(name: str) -> None:
        line.show(f"{name} …")

    yield from examine(machine_checks(config), show_check)
    try:
        client = session.client(config)
    except CloudqError as error:
        yield Finding(
            Level.PROBLEM, "store", str(error), "correct [store]; docs/configuration.md lists all keys"
        )
        return
    with client:
        yield from client.examine(deep=deep, collect=collect, begin=show_check)


def _show(finding: Finding) -> None:
    """Print a finding; on a terminal, long texts continue below their beginning."""
    if not is_read_by_user():
        click.echo(finding_line(finding))
        return
    from rich.table import Table  # noqa: PLC0415 (see drawing)
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, GAP, 0, 0))
    grid.add_column(width=LEVEL_COLUMNS, style=LEVEL_STYLES[finding.level])
    grid.add_column(width=CHECK_COLUMNS)
    grid.add_column(overflow="fold")
    to_do = f"\n→ {to_do_of(finding)}" if finding.to_do else ""
    texts = (finding.level.value, finding.check, f"{finding.what}{to_do}")
    grid.add_row(*(Text("\n".join(map(printable, text.split("\n")))) for text in texts))
    terminal().print(grid)


def finding_line(finding: Finding) -> str:
    """Return a line with the level, the check, the finding and, after an arrow, what to do."""
    to_do = f"  → {to_do_of(finding)}" if finding.to_do else ""
    level, check = finding.level.value, finding.check
    return printable(f"{level:<{LEVEL_COLUMNS}}  {check:<{CHECK_COLUMNS}}  {finding.what}{to_do}")


def to_do_of(finding: Finding) -> str:
    """Return what to do about *finding*, with the command for it in parentheses."""
    if finding.remedy is None:
        return finding.to_do
    return f"{finding.to_do} ({COMMANDS[finding.remedy].format(subject=finding.subject)})"


def _record(finding: Finding) -> dict[str, str]:
    return {
        "level": finding.level.value,
        "check": finding.check,
        "what": finding.what,
        "to_do": to_do_of(finding),
    }
