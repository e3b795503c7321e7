"""``list`` and ``history``: warnings, JSON, and a list that stops when its reader closes the pipe."""

from __future__ import annotations

import json

import pytest

from cloudq.domain.errors import StoreUnavailable
from tests.builders import JOB_ID, NOON, a_finished_job, a_job, at
from tests.parts.scripted_scheduler import Script
from tests.unit.entrypoints.cloudqcli.conftest import Cli


def test_a_dead_agent_is_told_of_on_stderr(cli: Cli) -> None:
    cli.agent()
    cli.submit()
    cli.clock.pass_by(3600)
    result = cli("list")

    assert result.exit_code == 0
    assert result.stderr == (
        "The agent of alpha has not reported for 60 min: the states shown for its jobs may be outdated.\n"
    )


def test_a_job_that_waits_says_why(cli: Cli) -> None:
    agent = cli.agent(Script(600))
    first = cli.submit()
    cli.submit("--hold_jid", first)
    agent.cycles(5)
    lines = cli("list", "--long").stdout.splitlines()

    assert lines[0].endswith("submit at  note")
    assert first in lines[3].partition("2026/")[2]


def test_list_as_json(cli: Cli) -> None:
    cli.put(a_job())

    assert json.loads(cli("list", "--json").stdout) == {
        "jobs": [
            {
                "uuid": JOB_ID,
                "name": "run.sh",
                "state": "INIT",
                "run_system": "",
                "time_submit": "2026-01-31T12:00:00.000Z",
                "note": "",
                "progress": "",
            }
        ],
        "warnings": ["No agent ever reported as alpha: its jobs wait until one does."],
    }


def test_history_as_json(cli: Cli) -> None:
    for number in range(3):
        cli.put(a_finished_job(f"0000000{number}", at(number), time_start=NOON))
    shown = json.loads(cli("history", "--json", "--last", "2").stdout)

    assert [entry["uuid"] for entry in shown] == ["00000002", "00000001"]
    assert shown[0] == {
        "uuid": "00000002",
        "name": "run.sh",
        "state": "DONE",
        "run_system": "alpha",
        "time_submit": "2026-01-31T12:00:00.000Z",
        "time_start": "2026-01-31T12:00:00.000Z",
        "time_finish": "2026-01-31T12:00:02.000Z",
    }


def test_an_empty_history_is_an_empty_list(cli: Cli) -> None:
    assert json.loads(cli("history", "--json").stdout) == []


def test_history_shows_the_last_few(cli: Cli) -> None:
    for number in range(3):
        cli.put(a_finished_job(f"0000000{number}", at(number)))

    assert len(cli("history", "--last", "1").stdout.splitlines()) == 3
    assert cli("history", "--last", "0").exit_code == 2


@pytest.mark.parametrize("options", [(), ("--json",), ("--last", "3")], ids=str)
def test_a_history_that_cannot_be_read_is_not_shown_as_an_empty_one(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    def gives_no_answer(*_: object, **__: object) -> None:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(cli.world.store, "list_page", gives_no_answer)
    result = cli("history", *options)

    assert (result.exit_code, result.stdout, result.stderr) == (4, "", "cloudqcli: no answer\n")


def test_stat_as_json_has_every_field_the_table_has(cli: Cli) -> None:
    job_id = cli.ended("--array_tid", "1-4")
    labels = [line.split()[0] for line in cli("stat", job_id).stdout.splitlines()]
    record = json.loads(cli("stat", job_id, "--json").stdout)

    assert set(labels) < set(record)
    assert record["tasks"] == [{"ids": "1-4:1", "state": "DONE", "exit_code": 0, "reason": ""}]
    assert record["changes"][0] == {
        "state": "INIT",
        "time": "2026-01-31T12:00:00.000Z",
        "reason": "submitted",
    }


def test_json_shows_no_control_character_and_every_alphabet(cli: Cli) -> None:
    cli.put(a_job(error_msg="\x9b2J\u202e計算", name="計算.sh"))
    text = cli("stat", JOB_ID, "--json").stdout

    assert text.replace("\n", "").isprintable()
    assert "計算.sh" in text
    assert json.loads(text)["error_msg"] == "\x9b2J\u202e計算"
