"""``wait``: its exit status, what it prints, and its end in time."""

from __future__ import annotations

import json

import pytest

from cloudq.entrypoints.shared.terminal import PassingLine
from tests.builders import a_finished_job, a_job, at
from tests.parts.scripted_scheduler import Script
from tests.unit.entrypoints.cloudqcli.conftest import Cli


def test_a_job_that_is_done_is_waited_for_in_silence(cli: Cli) -> None:
    cli.agent(Script(30))
    job_id = cli.submit()
    result = cli("wait", job_id)

    assert (result.exit_code, result.output) == (0, "")
    assert cli.job(job_id).is_final


def test_the_status_is_that_of_the_job(cli: Cli) -> None:
    cli.agent(Script(30, 7))
    job_id = cli.submit()
    result = cli("wait", job_id)

    assert (result.exit_code, result.stdout) == (7, "")
    assert result.stderr.startswith(f"Job ({job_id}) ended: ERROR")


def test_a_job_that_failed_is_shown_with_the_end_of_its_stderr(cli: Cli) -> None:
    cli.agent(Script(30, 7, "", "no such file\n"))
    job_id = cli.submit()

    assert cli("wait", job_id).stderr.splitlines()[1:] == [
        "Last lines of stderr:",
        "  | no such file",
        f"All of its stderr: cloudqcli log {job_id} --error",
    ]


@pytest.mark.parametrize(
    ("ids", "status"),
    [
        ("00000001 00000002 00000003", 3),
        ("00000003 00000002", 4),
        ("00000001", 0),
        ("00000002 12345678", 5),
    ],
)
def test_of_several_jobs_it_is_the_first_that_is_not_zero(cli: Cli, ids: str, status: int) -> None:
    for number, code in (("1", 0), ("2", 3), ("3", 4)):
        cli.put(a_finished_job(f"0000000{number}", at(1), exit_code=code))

    assert cli("wait", *ids.split()).exit_code == status


def test_any_prints_the_id_of_the_job_that_has_ended(cli: Cli) -> None:
    cli.put(a_job(uuid="00000001"))
    cli.put(a_finished_job("00000002", exit_code=3))
    result = cli("wait", "--any", "00000001", "00000002")

    assert (result.exit_code, result.stdout) == (3, "00000002\n")


@pytest.mark.parametrize("ids", ["00000001", "00000001 00000002"])
def test_after_its_time_it_ends_with_the_status_of_timeout(cli: Cli, ids: str) -> None:
    for job_id in ("00000001", "00000002"):
        cli.put(a_job(uuid=job_id))
    result = cli("wait", *ids.split(), "--timeout", "1m")

    assert result.exit_code == 124
    assert "after 60 s" in result.stderr
    assert cli.clock.seconds == 60


def test_a_timeout_that_is_no_time_is_refused(cli: Cli) -> None:
    result = cli("wait", "00000001", "--timeout", "soon")

    assert result.exit_code == 2
    assert result.stderr.startswith("cloudqcli: 'soon' is not a length of time")


def test_selected_jobs_are_those_that_run_and_those_that_have_ended(cli: Cli) -> None:
    cli.put(a_finished_job("00000001", exit_code=9, labels=("sweep=7",)))
    agent = cli.agent(Script(30))
    cli.put(a_job(uuid="00000002", labels=("sweep=7",)))
    agent.cycles(2)
    result = cli("wait", "--label", "sweep=7", "--json")

    assert [job["uuid"] for job in json.loads(result.stdout)] == ["00000001", "00000002"]
    assert result.exit_code == 9


def test_a_terminal_shows_how_many_have_ended(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(PassingLine, "show", lambda _, text: lines.append(text))
    cli.put(a_finished_job("00000001"))
    cli.put(a_finished_job("00000002", exit_code=3))
    cli("wait", "00000001", "00000002")

    assert lines == [
        "0 of 2 jobs have ended, 0 failed",
        "1 of 2 jobs have ended, 0 failed",
        "2 of 2 jobs have ended, 1 failed",
    ]
