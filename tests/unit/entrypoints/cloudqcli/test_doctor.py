"""``doctor``: its lines, its JSON, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudq.client import Client
from cloudq.domain.errors import StoreProblem
from cloudq.domain.finding import Finding, Level
from cloudq.entrypoints.cloudqcli.commands.doctor import finding_line
from cloudq.entrypoints.cloudqcli.session import Session
from tests.unit.entrypoints.cloudqcli.conftest import Cli


@pytest.fixture(autouse=True)
def _no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def test_the_lines(cli: Cli) -> None:
    cli.agent()
    result = cli("doctor")

    assert (result.exit_code, result.stderr) == (0, "")
    cli.golden("doctor.txt", result.stdout)


def test_a_line_of_each_level(cli: Cli) -> None:
    found = [Finding(level, "disk space", "what was found", "what to do") for level in Level]
    found.append(Finding(Level.OK, "store", "it answers"))

    cli.golden("doctor_levels.txt", "".join(f"{finding_line(each)}\n" for each in found))


def test_a_deep_examination_says_so(cli: Cli) -> None:
    assert "the store listed 1001 of 1001 keys, 1000 at a time" in cli("doctor", "--deep").stdout
    assert cli.world.stored() == []


def test_findings_as_json(cli: Cli) -> None:
    cli.agent()
    findings = json.loads(cli("doctor", "--json").stdout)["findings"]

    assert findings[1] == {"level": "ok", "check": "store", "what": "the store answers", "to_do": ""}


def test_a_problem_is_exit_status_1(cli: Cli) -> None:
    cli.world.store.put("systems/alpha/lease.json", b"{}")
    result = cli("doctor")

    assert result.exit_code == 1
    assert "problem        agents                alpha: " in result.stdout


def test_a_warning_alone_is_none(cli: Cli) -> None:
    result = cli("doctor")

    assert (result.exit_code, "warning        agents" in result.stdout) == (0, True)


def test_a_configuration_that_cannot_be_used_is_a_finding(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[store]\nbuckt = 'x'\nregion = 7\n")
    result = cli("doctor", "--config", tmp_path / "config.toml")

    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert [line.split()[:2] for line in lines[:2]] == [["problem", "configuration"]] * 2
    assert lines[-1].startswith("could not ask  store")


def test_a_store_that_cannot_even_be_opened_is_a_finding(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Client:
        raise StoreProblem("there is no profile 'x'")

    monkeypatch.setattr(Session, "client", refuse)
    result = cli("doctor")

    assert result.exit_code == 1
    assert "problem        store                 there is no profile 'x'  → " in result.stdout


def test_on_a_machine_with_an_agent_that_is_examined_too(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLOUDQ_AGENT_NAME", "mine")
    (tmp_path / "home").mkdir(mode=0o755)
    lines = cli("doctor").stdout.splitlines()

    assert "ok             profile               mine uses profile 'local', scheduler 'local'" in lines
    assert "ok             scheduler             local answers" in lines
    assert any(
        line.startswith("warning        directories") and "can be read by others" in line for line in lines
    )
    assert any("disk space" in line for line in lines)


def test_a_configuration_that_others_can_change_is_a_problem(cli: Cli, tmp_path: Path) -> None:
    config, keys = tmp_path / "config.toml", tmp_path / "credentials"
    config.write_text("")
    keys.write_text("secret")
    config.chmod(0o666)
    keys.chmod(0o644)
    result = cli("doctor", "--config", config)

    assert result.exit_code == 1
    assert f"{config} can be changed by others  → chmod go-w {config}\n" in result.stdout
    assert f"{keys} can be read by others  → chmod 600 {keys}\n" in result.stdout
    assert "secret" not in result.stdout


def test_what_it_finds_cannot_steer_the_terminal() -> None:
    assert finding_line(Finding(Level.OK, "agents", "\x1b[2J\nbeta", "\u202e")).isprintable()
