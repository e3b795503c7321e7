"""``cloudqcli log``: unchanged bytes, the output so far of a running job, and safe output on terminals."""

from __future__ import annotations

import pytest

from cloudq.application.client.read_log import TaskLine
from cloudq.entrypoints.cloudqcli.commands.log import _prefixed
from cloudq.entrypoints.shared.terminal import LogText
from tests.parts.scripted_scheduler import Script
from tests.unit.entrypoints.cloudqcli.conftest import Cli

ODD = b"caf\xc3\xa9 \xff \x1b[31mred\x1b[0m \x1b]0;title\x07\r\n"


def test_gives_stdout_or_stderr_of_an_ended_job(cli: Cli) -> None:
    job_id = cli.ended(script=Script(5, 0, "to stdout\n", "to stderr\n"))

    assert cli("log", "--id", job_id).stdout == "to stdout\n"
    assert cli("log", "--id", job_id, "--error").stdout == "to stderr\n"
    assert cli("log", job_id).stderr == ""


def test_gives_a_task_of_an_array(cli: Cli) -> None:
    job_id = cli.ended("--array_tid", "1-4", script=Script(5, 0, "a task\n"))

    assert cli("log", "--id", job_id, "--tid", "2").stdout == "a task\n"


def test_says_which_tasks_an_array_has(cli: Cli) -> None:
    job_id = cli.ended("--array_tid", "1-4", script=Script(5, 0, "a task\n"))
    wrong = cli("log", job_id, "--tid", "9")

    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert wrong.stderr == f"cloudqcli: Job ({job_id}) has tasks 1-4:1.\n"


def test_all_tasks_of_an_array_have_their_number_before_each_line(cli: Cli) -> None:
    job_id = cli.ended("--array_tid", "1-3", script=Script(5, 0, "one\ntwo\nthree"))

    assert cli("log", job_id).stdout == "".join(f"{n}: one\n{n}: two\n{n}: three\n" for n in (1, 2, 3))
    assert cli("log", job_id, "--tail", "1").stdout == "1: three\n2: three\n3: three\n"
    assert cli("log", job_id, "--error").stdout == ""


def test_follows_all_tasks_of_an_array_to_their_end(cli: Cli) -> None:
    cli.agent(Script(300, 0, "one\ntwo"))
    job_id = cli.submit("--array_tid", "1-2")

    lines = cli("log", job_id, "--follow").stdout.splitlines()
    assert sorted(lines) == ["1: one", "1: two", "2: one", "2: two"]


@pytest.mark.parametrize(
    ("tail", "shown"), [("0", ""), ("1", "c\n"), ("2", "b\nc\n"), ("9", "a\nb\nc\n"), ("all", "a\nb\nc\n")]
)
def test_only_the_last_lines_are_shown_on_request(cli: Cli, tail: str, shown: str) -> None:
    job_id = cli.ended(script=Script(5, 0, "a\nb\nc\n"))

    assert cli("log", job_id, "--tail", tail).stdout == shown
    assert cli("log", job_id, "--tail", tail, "--follow").stdout == shown


def test_following_from_the_end_shows_all_later_output(cli: Cli) -> None:
    agent = cli.agent(Script(300, 0, "a\nb\nc\n"))
    job_id = cli.submit()
    agent.cycles(3)

    assert cli("log", job_id, "--tail", "1", "--follow").stdout in {"c\n", "a\nb\nc\n"}


def test_a_tail_that_is_no_number_is_refused(cli: Cli) -> None:
    result = cli("log", "3f7e7681", "--tail", "-3")

    assert result.exit_code == 2
    assert "'-3' is neither a number of lines nor 'all'" in result.stderr


def test_waits_a_moment_for_the_first_pieces_of_a_running_job(cli: Cli) -> None:
    """Its agent sees the request in its next cycle."""
    agent = cli.agent(Script(600, 0, "so far\n"))
    job_id = cli.submit()
    agent.cycles(3)

    assert cli("log", job_id).stdout in {"so far\n", ""}


def test_says_when_nothing_of_a_running_job_has_arrived(cli: Cli) -> None:
    agent = cli.agent(Script(600))
    job_id = cli.submit()
    agent.cycles(3)
    result = cli("log", job_id)

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"Job ({job_id}) is RUN; no part of this log has been uploaded yet.\n"


def test_says_when_a_job_was_not_taken_yet(cli: Cli) -> None:
    job_id = cli.submit()
    result = cli("log", job_id)

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"Job ({job_id}) is INIT: it has not been taken yet and has no log.\n"


def test_follows_a_job_to_its_end(cli: Cli) -> None:
    cli.agent(Script(300, 0, "all of it\n"))
    job_id = cli.submit()

    assert cli("log", job_id, "--follow").stdout == "all of it\n"


def test_bytes_reach_a_pipe_as_they_are(cli: Cli) -> None:
    job_id = cli.ended(script=Script(5, 0, "something\n"))
    cli.world.store.put(f"jobs/{job_id}/1/stdout", ODD)

    assert cli("log", job_id).stdout_bytes == ODD


@pytest.mark.parametrize("size", [1, 2, 3, 7, len(ODD)])
def test_a_terminal_gets_colours_and_no_other_controls(size: int) -> None:
    """This holds however the bytes are split; colours end with the log."""
    text = LogText()
    pieces = [text.feed(ODD[at : at + size]) for at in range(0, len(ODD), size)]

    assert "".join(pieces) + text.finish() == ("café \\xff \x1b[31mred\x1b[0m \\x1b]0;title\\x07\r\n\x1b[0m")


def test_colors_of_one_task_do_not_reach_the_lines_of_another() -> None:
    """Their controls are escaped, too; a pipe gets the bytes as they are."""
    lines = [TaskLine(1, b"\x1b[31mred\x07\xff\n"), TaskLine(2, b"plain\n")]

    assert b"".join(_prefixed(lines, is_shown=True)) == b"1: \x1b[31mred\\x07\\xff\x1b[0m\n2: plain\n"
    assert b"".join(_prefixed(lines, is_shown=False)) == b"1: \x1b[31mred\x07\xff\n2: plain\n"


def test_a_colour_that_never_ends_is_written_out() -> None:
    text = LogText()

    assert text.feed(b"\x1b[31") + text.finish() == "\\x1b[31"


def test_gives_an_agent_s_log(cli: Cli) -> None:
    cli.world.store.put("logs/alpha/cloudqd.log", b"acting for alpha\n")

    assert cli("log", "--agent", "alpha").stdout == "acting for alpha\n"
    assert cli("log", "--agent", "alpha", "--tail", "0").stdout == ""


def test_says_that_an_agent_has_no_log(cli: Cli) -> None:
    result = cli("log", "--agent", "alpha")

    assert (result.exit_code, result.stderr) == (5, "cloudqcli: There is no agent log of alpha.\n")


def test_a_job_or_an_agent_must_be_named(cli: Cli) -> None:
    assert cli("log").exit_code == 2
    assert cli("log", "3f7e7681", "--agent", "alpha").exit_code == 2
