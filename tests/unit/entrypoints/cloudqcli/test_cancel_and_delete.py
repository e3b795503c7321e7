"""``cancel``, ``delete`` and ``stageout``: the original's messages, and the refusals."""

from __future__ import annotations

from pathlib import Path

from cloudq.domain.jobs.job_state import JobState
from tests.parts.scripted_scheduler import Script
from tests.unit.entrypoints.cloudqcli.conftest import Cli


def test_an_unclaimed_job_is_canceled_at_once(cli: Cli) -> None:
    job_id = cli.submit()
    result = cli("cancel", "--id", job_id)

    assert (result.stdout, result.stderr) == (f"Job ({job_id}) is canceled.\n", "")
    assert cli.job(job_id).state is JobState.DELETED


def test_canceling_a_running_job_is_a_request_to_its_agent(cli: Cli) -> None:
    agent = cli.agent(Script(600))
    job_id = cli.submit()
    agent.cycles(3)
    result = cli("cancel", job_id)

    assert (result.exit_code, result.stdout) == (0, f"Job ({job_id}) is canceled.\n")
    assert result.stderr == "Its agent was asked to end it, which takes a moment; --wait waits for the end.\n"
    assert not cli.job(job_id).is_final


def test_waiting_for_a_cancel_sees_its_effect(cli: Cli) -> None:
    agent = cli.agent(Script(6000))
    job_id = cli.submit()
    agent.cycles(3)
    result = cli("cancel", job_id, "--wait")

    assert (result.stdout, result.stderr) == (f"Job ({job_id}) is canceled.\n", "")
    assert cli.job(job_id).state is JobState.DELETED


def test_one_task_of_an_array_is_canceled(cli: Cli) -> None:
    agent = cli.agent(Script(6000))
    job_id = cli.submit("--array_tid", "1-3")
    agent.cycles(3)
    asked = cli("cancel", "--id", job_id, "--tid", "2")
    waited = cli("cancel", "--id", job_id, "--tid", "2", "--wait")

    assert (asked.exit_code, asked.stdout) == (0, f"Task 2 of job ({job_id}) is canceled.\n")
    assert "was asked to end it" in asked.stderr
    assert (waited.stdout, waited.stderr) == (f"Task 2 of job ({job_id}) is canceled.\n", "")
    assert cli.job(job_id).state_of_task(2) is JobState.DELETED
    assert cli.job(job_id).state is JobState.RUN


def test_a_job_that_has_ended_cannot_be_canceled(cli: Cli) -> None:
    job_id = cli.ended()
    result = cli("cancel", job_id)

    assert (result.exit_code, result.stdout) == (7, "")
    assert result.stderr == f"cloudqcli: Job ({job_id}) has ended already: DONE.\n"


def test_canceling_twice_is_no_error(cli: Cli) -> None:
    job_id = cli.submit()

    assert [cli("cancel", job_id).exit_code for _ in range(2)] == [0, 0]


def test_deletes_a_job_and_says_so(cli: Cli) -> None:
    job_id = cli.ended()

    assert cli("delete", "--id", job_id).stdout == f"Job ({job_id}) is deleted.\n"
    assert cli.world.store.list_page(f"jobs/{job_id}").objects == ()


def test_deletes_all_ended_jobs_and_names_each(cli: Cli) -> None:
    ids = {cli.ended(), cli.submit("--array_tid", "1-2")}
    ids = {job_id for job_id in ids if cli.job(job_id).is_final}
    result = cli("delete", "--all")

    assert set(result.stdout.splitlines()) == {f"Job ({job_id}) is deleted." for job_id in ids}


def test_a_running_job_cannot_be_deleted(cli: Cli) -> None:
    job_id = cli.submit()
    result = cli("delete", job_id)

    assert result.exit_code == 7
    assert result.stderr == (
        f"cloudqcli: Job ({job_id}) is INIT: only a finished job can be deleted. "
        f"Cancel it first: cloudqcli cancel --id {job_id}\n"
    )


def test_deletes_an_agent_s_log(cli: Cli) -> None:
    cli.world.store.put("logs/alpha/cloudqd.log", b"acting\n")

    assert cli("delete", "--agent", "alpha").stdout == "Agent log (alpha) is deleted.\n"
    assert cli("delete", "--agent", "alpha").exit_code == 5


def test_exactly_one_thing_is_deleted(cli: Cli) -> None:
    assert cli("delete").exit_code == 2
    assert cli("delete", "--all", "--id", "3f7e7681").exit_code == 2


def test_stages_out_everything_and_overwrites_nothing(cli: Cli, tmp_path: Path) -> None:
    cli.script("data.txt", "input")
    script = Script(5, 0, "out\n", "err\n", {"result.txt": b"42"})
    job_id = cli.ended("--input", tmp_path / "data.txt", script=script)
    first, second = (cli("stageout", "--id", job_id, "--into", tmp_path / "here") for _ in range(2))
    target = tmp_path / "here" / job_id
    found = sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())

    assert first.stdout == f"{target}\n"
    assert found == ["input/data.txt", "output/result.txt", "run.sh", "stderr", "stdout"]
    assert second.exit_code == 2
    assert second.stderr == (f"cloudqcli: {target} already exists: move it away, or choose another place.\n")


def test_ids_are_checked_before_anything_is_asked(cli: Cli) -> None:
    for command in ("stat", "cancel", "stageout", "delete", "log"):
        result = cli(command, "../../etc")

        assert result.exit_code == 2
        assert result.stderr.startswith("cloudqcli: '../../etc' is not a job id")


def test_an_unknown_id_has_a_status_of_its_own(cli: Cli) -> None:
    for command in ("stat", "cancel", "stageout", "delete", "log"):
        result = cli(command, "--id", "12345678")

        assert (result.exit_code, result.stderr) == (5, "cloudqcli: Job (12345678) does not exist.\n")


def test_a_command_about_a_job_needs_one(cli: Cli) -> None:
    for command in ("stat", "wait", "cancel", "stageout", "requeue"):
        assert cli(command).exit_code == 2
