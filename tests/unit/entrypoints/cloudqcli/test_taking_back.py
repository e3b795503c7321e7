"""``requeue`` and ``cancel --force``: the display, the question, and the result without an answer."""

from __future__ import annotations

import pytest

from cloudq.domain.jobs.job_state import JobState
from cloudq.entrypoints.cloudqcli import holding
from tests.parts.scripted_scheduler import Script
from tests.unit.entrypoints.cloudqcli.conftest import Cli

pytestmark = pytest.mark.usefixtures("tokyo")

SILENCE_S = 3 * 86_400.0


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that a person sits at a terminal."""
    monkeypatch.setattr(holding, "can_ask_user", lambda: True)


def held(cli: Cli, silent_s: float = SILENCE_S) -> str:
    """Return a job that alpha runs, whose agent has been silent since."""
    agent = cli.agent(Script(10**6))
    job_id = cli.submit()
    agent.cycles(3)
    cli.clock.pass_by(silent_s)
    return job_id


def test_a_person_is_shown_who_holds_the_job_and_asked(cli: Cli, person: None) -> None:
    job_id = held(cli)
    result = cli("requeue", "--id", job_id, "--to", "alpha", typed="y\n")

    assert result.exit_code == 0
    assert result.stderr.splitlines()[:4] == [
        f"Job ({job_id}) is held by alpha since 2026/01/31 21:00:00, by claim 1.",
        "Its agent on login1 last reported 3 days ago.",
        "The job is taken back and offered to alpha.",
        "If the agent of alpha comes back, it ends the job there if it still runs.",
    ]
    assert result.stdout.endswith(f"Job ({job_id}) is taken back from alpha and offered to alpha.\n")
    assert cli.job(job_id).state is JobState.INIT


@pytest.mark.parametrize("command", ["requeue", "cancel --force"])
def test_no_is_no(cli: Cli, person: None, command: str) -> None:
    job_id = held(cli)
    result = cli(*command.split(), "--id", job_id, typed="n\n")

    assert result.exit_code == 1
    assert result.stderr.endswith("Nothing was changed.\n")  # click 8.2.0 echoes the answer elsewhere
    assert cli.job(job_id).state is JobState.RUN
    assert len(cli.world.stored(f"jobs/{job_id}/claims/")) == 1


@pytest.mark.parametrize("command", ["requeue", "cancel --force"])
def test_where_nobody_can_be_asked_the_claim_must_be_named(cli: Cli, command: str) -> None:
    job_id = held(cli)
    refused = cli(*command.split(), "--id", job_id)
    wrong = cli(*command.split(), "--id", job_id, "--claim", "2")
    done = cli(*command.split(), "--id", job_id, "--claim", "1")

    assert refused.exit_code == 2
    assert "by claim 1." in refused.stderr
    assert "no terminal to confirm on: to confirm, add --claim 1" in refused.stderr
    assert wrong.exit_code == 7
    assert (done.exit_code, done.stderr) == (0, "")


def test_a_holder_that_reported_lately_is_left_alone(cli: Cli) -> None:
    job_id = held(cli, silent_s=60)
    result = cli("requeue", "--id", job_id)

    assert (result.exit_code, result.stdout) == (7, "")
    assert result.stderr == (
        f"cloudqcli: The agent of alpha reported recently, so job ({job_id}) may still run there. Wait "
        "until it has been silent for 30 min, or use --force: the job may run twice.\n"
    )


def test_force_warns_that_the_job_may_run_twice(cli: Cli, person: None) -> None:
    job_id = held(cli, silent_s=60)
    result = cli("requeue", "--id", job_id, "--force", typed="y\n")

    assert result.exit_code == 0
    assert "The job is taken back and offered to the same systems as before.\n" in result.stderr
    assert "WARNING: the job may run twice, because alpha may be running it now.\n" in result.stderr


def test_a_forced_cancel_ends_the_job_and_says_what_that_means(cli: Cli, person: None) -> None:
    job_id = held(cli, silent_s=60)
    result = cli("cancel", "--id", job_id, "--force", typed="y\n")

    assert result.stdout.endswith(f"Job ({job_id}) is canceled.\n")
    assert result.stderr.splitlines()[2:5] == [
        "The job ends as DELETED, without logs and outputs that are not in the store yet.",
        "If the agent of alpha comes back, it ends the job there if it still runs.",
        "WARNING: alpha is not away. Its agent would end the job properly, without --force.",
    ]
    assert cli.job(job_id).state is JobState.DELETED


def test_an_agent_that_was_stopped_is_told_as_one(cli: Cli) -> None:
    job_id = held(cli, silent_s=10)
    assert cli.clock.agent is not None
    cli.clock.agent.parts.lease.release()

    assert "last reported 0 s ago, when it was stopped.\n" in cli("cancel", job_id, "--force").stderr


def test_a_job_that_nobody_took_is_moved_without_a_question(cli: Cli) -> None:
    job_id = cli.submit()
    moved = cli("requeue", "--id", job_id, "--to", "beta,Gamma", "--to", "beta")
    again = cli("requeue", job_id)

    assert (moved.exit_code, moved.stdout) == (0, f"Job ({job_id}) is offered to beta, gamma.\n")
    assert again.stdout == moved.stdout
    assert cli.job(job_id).invited == ("beta", "gamma")


def test_a_forced_cancel_of_a_job_that_nobody_took_is_a_plain_one(cli: Cli) -> None:
    job_id = cli.submit()

    assert cli("cancel", job_id, "--force").stdout == f"Job ({job_id}) is canceled.\n"


def test_what_does_not_go_together_is_a_usage_error(cli: Cli) -> None:
    for options in (("--force", "--tid", "2"), ("--claim", "1")):
        assert cli("cancel", "3f7e7681", *options).exit_code == 2
    assert cli("requeue").exit_code == 2
    assert cli("requeue", "3f7e7681", "--to", "no/system").exit_code == 2


def test_a_host_s_name_cannot_steer_the_terminal(cli: Cli) -> None:
    alpha = cli.world.system("alpha", behaviour=lambda *_: Script(600))
    agent = cli.world.agent(alpha, host="\x1b[2Jlogin1")
    job_id = cli.submit()
    agent.cycles(2)

    assert r"Its agent on \x1b[2Jlogin1 last reported" in cli("cancel", job_id, "--force").stderr
