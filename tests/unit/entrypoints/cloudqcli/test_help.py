"""What ``--help`` and ``--version`` print."""

from __future__ import annotations

import pytest

from cloudq import __version__
from cloudq.entrypoints.cloudqcli import main
from tests.unit.entrypoints.cloudqcli.conftest import Cli

COMMANDS = (
    "init", "submit", "convert", "wait", "stat", "explain", "list", "watch", "history", "log", "cancel",
    "requeue", "stageout", "delete", "agents", "doctor", "completion",
)  # fmt: skip


def test_the_list_of_commands_has_a_whole_line_for_each(cli: Cli) -> None:
    listed = cli("--help").stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()

    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


def test_every_command_has_help_of_its_own(cli: Cli) -> None:
    for command in COMMANDS:
        assert cli(command, "--help").stdout.startswith(f"Usage: main {command}")


def test_commands_are_listed_in_the_order_of_their_use(cli: Cli) -> None:
    assert tuple(main.list_commands(None)) == COMMANDS  # type: ignore[attr-defined]


def test_says_its_version(cli: Cli) -> None:
    assert cli("--version").stdout == f"cloudqcli {__version__}\n"


def test_an_unknown_command_is_a_usage_error(cli: Cli) -> None:
    result = cli("frobnicate")

    assert result.exit_code == 2
    assert "No such command 'frobnicate'" in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_common_options_are_taken_by_every_command(cli: Cli, command: str) -> None:
    shown = cli(command, "--help").stdout

    assert "--config FILE" in shown
    assert "--log-level" in shown
