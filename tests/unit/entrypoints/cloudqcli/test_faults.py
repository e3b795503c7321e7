"""Errors as the user sees them: a message, an exit status, and a traceback only on request."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from cloudq.domain.errors import CloudqError, InvalidInput, RecordRejected, StoreUnavailable
from cloudq.entrypoints.shared import faults
from cloudq.entrypoints.shared.faults import faults_reported
from cloudq.entrypoints.shared.terminal import cut, printable, right, width
from tests.unit.entrypoints.cloudqcli.conftest import Cli


def ended_with(error: BaseException) -> tuple[int, str]:
    """Return the exit status and the message of a command that raised *error*."""

    @click.command
    @click.pass_context
    def command(ctx: click.Context) -> None:
        with faults_reported("program", ctx):
            raise error

    result = CliRunner().invoke(command)
    return result.exit_code, result.stderr


def because(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (RecordRejected("nonsense"), 6, "program: nonsense\n"),
        (InvalidInput(["one", "two"]), 2, "program: one\nprogram: two\n"),
        (because(StoreUnavailable("no store"), OSError("refused")), 4,
         "program: no store\nprogram: because: refused\n"),
        (because(StoreUnavailable("no store: refused"), OSError("refused")), 4,
         "program: no store: refused\n"),
        (CloudqError("\x1b[2Jgone"), 1, "program: \\x1b[2Jgone\n"),
        (PermissionError(13, "Permission denied", "/etc/x"), 1, "program: /etc/x: Permission denied\n"),
        (ZeroDivisionError("by zero"), 1,
         ("program: unexpected ZeroDivisionError: by zero\n"
          "program: this is a defect; --log_level DEBUG shows where it is\n")),
        (KeyboardInterrupt(), 130, "\n"),
        (click.UsageError("no such option"), 2,
         "Usage: command [OPTIONS]\nTry 'command --help' for help.\n\nError: no such option\n"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_errors_become_words_and_a_status(error: BaseException, status: int, words: str) -> None:
    assert ended_with(error) == (status, words)


def test_a_reader_who_left_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(faults, "_close_stdout", lambda: closed.append(True))  # not pytest's stdout

    assert ended_with(BrokenPipeError(32, "Broken pipe")) == (141, "")
    assert closed


def test_a_traceback_is_for_those_who_ask(cli: Cli) -> None:
    plain = cli("stat", "12345678")
    before = cli("--log_level", "DEBUG", "stat", "12345678")
    after = cli("stat", "12345678", "--log-level", "debug")

    assert "Traceback" not in plain.stderr
    assert "Traceback (most recent call last):" in before.stderr
    assert "Traceback (most recent call last):" in after.stderr


def test_the_configuration_file_is_named_before_or_after_the_command(cli: Cli) -> None:
    missing = cli.world.tmp / "missing.toml"
    said = [cli("--config", missing, "list"), cli("list", "--config", missing)]

    assert [result.exit_code for result in said] == [3, 3]
    assert {result.stderr for result in said} == {f"cloudqcli: {missing}: does not exist\n"}


def test_every_problem_of_the_configuration_is_named(cli: Cli) -> None:
    file = cli.world.tmp / "config.toml"
    file.write_text("[agent]\nnum_procs = 0\n[store]\nbuckt = 'x'\n")
    result = cli("list", "--config", file)

    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 2


def test_notices_about_the_configuration_go_to_stderr(cli: Cli) -> None:
    original = cli.world.tmp / "home" / "client"
    original.mkdir(parents=True)
    (original / "config.ini").touch()
    result = cli("list")

    assert result.exit_code == 0
    assert "a configuration of the original CloudQ, which is neither used nor changed" in result.stderr


def test_text_of_others_is_shown_on_one_line() -> None:
    assert printable("a\tb\nc\x1b[31m\x9b\u202e\udcff計") == r"a\tb\nc\x1b[31m\x9b\u202e\udcff計"


def test_columns_are_those_of_a_terminal() -> None:
    assert (width("計算"), cut("計算する", 5), right("計算", 6)) == (4, "計算", "  計算")
    assert width("e\u0301") == 1
