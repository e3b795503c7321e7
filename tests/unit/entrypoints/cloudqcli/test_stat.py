"""``stat`` and ``list --long`` of jobs that have not ended: why they wait, and how far an array is."""

from __future__ import annotations

import json

import pytest

from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from tests.parts.scripted_scheduler import Script, ScriptedScheduler
from tests.parts.world import Agent
from tests.unit.entrypoints.cloudqcli.conftest import Cli


def held(cli: Cli, reason: str) -> tuple[Agent, str]:
    """Return a job that its scheduler holds back for *reason*."""
    agent = cli.agent()
    scheduler = agent.parts.run.cycle.follow_jobs.scheduler
    assert isinstance(scheduler, ScriptedScheduler)
    scheduler.holds_queue = True
    job_id = cli.submit()
    agent.cycles(2)
    [job] = scheduler._jobs.values()
    job.tasks[None].status = SchedulerStatus(Life.QUEUED, reason=reason)
    agent.cycles(3)
    return agent, job_id


def half_done(cli: Cli) -> str:
    """Return an array of which one task has ended since its record was last written."""
    agent = cli.agent(Script(1000))
    scheduler = agent.parts.run.cycle.follow_jobs.scheduler
    assert isinstance(scheduler, ScriptedScheduler)
    scheduler._behaviour = lambda _, task: Script(40.0 if task == 1 else 1000.0, exit_code=3)
    job_id = cli.submit("--array_tid", "1-3")
    agent.until(lambda: cli.world.client().query.status(job_id).progress == "1/3, 1 failed")
    return job_id


def test_scheduler_gives_the_reason_why_a_job_waits(cli: Cli) -> None:
    _, job_id = held(cli, "PartitionTimeLimit")

    assert cli("stat", job_id).stdout.splitlines()[-1] == "note                  PartitionTimeLimit"
    assert json.loads(cli("stat", job_id, "--json").stdout)["note"] == "PartitionTimeLimit"
    assert cli("list", "--long").stdout.splitlines()[2].endswith("  PartitionTimeLimit")


def test_reason_from_a_bucket_reaches_no_terminal_unescaped(cli: Cli) -> None:
    _, job_id = held(cli, "a\x1b[2Jb")

    assert "\x1b" not in cli("stat", job_id).stdout + cli("list", "--long").stdout


def test_progress_of_an_array_is_shown_with_the_age_of_its_task_states(cli: Cli) -> None:
    job_id = half_done(cli)
    result = cli("stat", job_id)

    assert result.stdout.splitlines()[-1] == "progress              1/3, 1 failed"
    assert result.stderr.startswith("The task states are ")
    assert result.stderr.endswith(" s old; by now: 1/3, 1 failed. Use --fresh to update them.\n")
    assert cli("list", "--long").stdout.splitlines()[2].endswith("  1/3, 1 failed")
    assert "failed" not in cli("list").stdout


def test_fresh_task_states_come_without_a_message(cli: Cli) -> None:
    job_id = half_done(cli)
    result = cli("stat", job_id, "--fresh")

    assert "tasks                 1 ERROR 3; 2-3:1 RUN\n" in result.stdout
    assert result.stderr == ""
    assert cli("list", "--fresh").stderr == ""


def test_terminal_gets_fresh_task_states_if_the_agent_has_newer_ones(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = half_done(cli)
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True)
    result = cli("stat", job_id)
    began = cli.clock.elapsed()
    again = cli("stat", job_id)

    assert [
        line
        for line in ("RUN 1/3, 1 failed", "task 1: ERROR, exit code 3", "task 2-3:1: RUN")
        if line not in result.stdout
    ] == []
    assert "Asking its agent for the present states of the tasks …" in result.stderr
    assert "Asking" not in again.stderr
    assert cli.clock.elapsed() == began


def test_ended_job_has_neither_note_nor_progress(cli: Cli) -> None:
    lines = cli("stat", cli.ended("--array_tid", "1-2")).stdout.splitlines()

    assert not [line for line in lines if line.startswith(("note", "progress"))]
