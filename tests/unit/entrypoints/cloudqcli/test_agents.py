"""``agents``: the table and its JSON; an agent's text cannot control a terminal."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from cloudq.application.shared.list_agents import AgentReport
from cloudq.domain.jobs.lease import AgentState
from cloudq.entrypoints.cloudqcli.agent_table import agent_lines
from tests.builders import NOON
from tests.unit.entrypoints.cloudqcli.conftest import Cli

pytestmark = pytest.mark.usefixtures("tokyo")

CHECKED = NOON.isoformat()
AGENTS = (
    AgentReport("abci", AgentState.ALIVE, NOON, 41.0, "2.0.0", "es1", "abci", "pbs", 12, 3, CHECKED),
    AgentReport(
        "kaede", AgentState.AWAY, NOON - timedelta(days=3), 3 * 86_400.0, "2.0.0", "login.kaede.example.org",
        "slurm", "slurm", 1, 0, CHECKED, "slurm: squeue gave no answer in 60 s",
    ),
    AgentReport("計算機", AgentState.STOPPED, NOON, 7_300.0, "2.0.1", "box", "local", "local", 0, 0),
    AgentReport("old", AgentState.UNKNOWN, last_beat_s=100.0, last_error="it was written by a newer cloudq"),
)  # fmt: skip


def test_the_table(cli: Cli) -> None:
    cli.golden("agents.txt", "".join(f"{line}\n" for line in agent_lines(AGENTS)))
    cli.golden("agents_long.txt", "".join(f"{line}\n" for line in agent_lines(AGENTS, long=True)))


def test_without_agents_it_is_header_and_rule(cli: Cli) -> None:
    header, rule = cli("agents").stdout.splitlines()

    assert header.split()[:3] == ["system", "state", "since"]
    assert rule == "-" * len(header)


def test_an_agent_is_shown(cli: Cli) -> None:
    cli.agent().cycles(2)
    [_, _, line] = cli("agents").stdout.splitlines()

    assert line.split()[:4] == ["alpha", "alive", "2026/01/31", "21:00:00"]


def test_agents_as_json(cli: Cli) -> None:
    cli.agent().cycles(2)
    [agent] = json.loads(cli("agents", "--json").stdout)["agents"]

    assert agent | {"store_check": ""} == {
        "system": "alpha",
        "state": "alive",
        "since": "2026-01-31T12:00:00.000Z",
        "last_beat_s": 10.0,
        "version": agent["version"],
        "host": "login1",
        "profile": "local",
        "scheduler": "scripted",
        "jobs_held": 0,
        "jobs_waiting": 0,
        "store_check": "",
        "last_error": "",
        "busy": "",
    }


def test_an_agent_s_words_cannot_steer_the_terminal() -> None:
    hostile = "\x1b]0;owned\x07\n\u202e" * 20
    report = AgentReport("abci", AgentState.ALIVE, NOON, 1.0, *[hostile] * 4, 1, 2, hostile, hostile)
    lines = list(agent_lines([report], long=True))

    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
