"""``cloudqcli explain``: one screen per kind of trouble, with the command that helps."""

from __future__ import annotations

import json

import pytest
from attrs import evolve

from cloudq.adapters.systems import load_profile
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.summary import ActiveJob, ActiveSummary
from cloudq.domain.jobs.task_states import TaskState, TaskStates
from cloudq.domain.scripts.array_range import ArrayRange
from tests.builders import NOON, a_finished_job, a_job, a_lease, at
from tests.parts.scripted_scheduler import Script
from tests.unit.entrypoints.cloudqcli.conftest import Cli

pytestmark = pytest.mark.usefixtures("tokyo")

META = "#!/bin/bash\n#$ project: p\n#$ resource: cpu\n#$ n_resource: 1\necho hi\n"


def shown(cli: Cli, job_id: str) -> str:
    result = cli("explain", job_id)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def test_a_job_that_waits_for_other_jobs(cli: Cli) -> None:
    agent = cli.agent(Script(600))
    first = cli.submit()
    job_id = cli.submit("--hold_jid", first, "--hold_ok_jid", first)
    agent.cycles(3)

    cli.golden("explain_dependency.txt", shown(cli, job_id))


def test_a_job_whose_dependency_failed(cli: Cli) -> None:
    agent = cli.agent(Script(30, 3, "", "no such file\n"))
    first = cli.submit()
    job_id = cli.submit("--hold_ok_jid", first)
    agent.until_final(first, job_id)

    cli.golden("explain_failed_dependency.txt", shown(cli, job_id))


def test_a_job_whose_dependency_was_deleted(cli: Cli) -> None:
    cli.put(a_job(hold_ok_jid=("11111111",), hold_jid=("22222222",)))

    assert "it needs job 11111111 to be DONE, which cannot be checked" in shown(cli, "3f7e7681")


def test_a_job_for_a_system_that_never_reported(cli: Cli) -> None:
    cli.golden("explain_no_agent.txt", shown(cli, cli.submit()))


def test_a_job_whose_agent_is_away_or_was_stopped(cli: Cli) -> None:
    agent = cli.agent()
    agent.parts.lease.release()
    job_id = cli.submit()
    stopped = shown(cli, job_id)
    agent = cli.agent()
    agent.die()
    cli.clock.agent = None
    away_id = cli.submit()
    cli.clock.pass_by(3600)

    assert "the agent of alpha was stopped: the job waits until it is started" in stopped
    cli.golden("explain_away.txt", shown(cli, away_id))


def test_an_agent_whose_bucket_is_in_doubt_names_the_way_out(cli: Cli) -> None:
    lease = a_lease(bucket_doubt="doubt-1", last_error="the lease of alpha in the bucket is missing")
    cli.world.client().list_agents.registry.take_lease("alpha", lease, None)

    cli.golden("explain_doubt.txt", shown(cli, cli.submit()))


def test_a_job_whose_holder_is_away_can_be_taken_back(cli: Cli) -> None:
    agent = cli.agent(Script(600))
    job_id = cli.submit()
    agent.cycles(3)
    agent.die()
    cli.clock.agent = None
    cli.clock.pass_by(3600)

    cli.golden("explain_holder_away.txt", shown(cli, job_id))


def test_an_interrupted_submission_can_be_completed(cli: Cli) -> None:
    cli.put(a_job(invited=()))

    assert "it is offered to no system: its submission was interrupted" in shown(cli, "3f7e7681")
    assert "cloudqcli requeue 3f7e7681  offer the job again" in shown(cli, "3f7e7681")


def test_a_job_that_is_in_no_queue_can_be_offered_again(cli: Cli) -> None:
    agent = cli.agent()
    cli.clock.agent = None
    job_id = cli.submit()
    cli.world.store.delete([f"queue/alpha/{job_id}.1"])
    agent.cycles(2)

    assert "  - alpha: the job is not in its queue: the submission was interrupted" in shown(cli, job_id)
    assert f"  cloudqcli requeue {job_id}  offer the job again\n" in shown(cli, job_id)


def test_a_claim_is_named_before_the_record_shows_it(cli: Cli) -> None:
    agent = cli.agent(Script(600))
    cli.clock.agent = None
    job_id = cli.submit()
    agent.cycles(1)
    registry = cli.world.client().list_agents.registry
    line = ActiveJob(job_id, "run.sh", JobState.INIT, "alpha", NOON)
    registry.publish_summary("alpha", ActiveSummary(registry.systems()["alpha"].summary_epoch, (line,)))
    stored = cli.jobs.load(job_id)
    cli.jobs.replace(stored, evolve(stored.job, state=JobState.INIT, claim=0, run_system=""))

    assert "  - alpha: it has taken the job\n" in shown(cli, job_id)


def test_a_cancel_that_the_agent_has_not_seen_is_named(cli: Cli) -> None:
    agent = cli.agent(Script(600))
    job_id = cli.submit()
    agent.cycles(3)
    cli.clock.agent = None
    assert cli("cancel", job_id).exit_code == 0

    assert "  - its agent on alpha was asked to cancel it\n" in shown(cli, job_id)


def test_a_job_that_no_known_system_can_take(cli: Cli) -> None:
    """Each system is named with its own reason."""
    local = load_profile("local", cli.world.tmp / "none")
    for name in ("alpha", "beta", "gamma"):
        cli.world.agent(cli.world.system(name, profile=None if name == "gamma" else local)).cycle()
    result = cli("submit", "--script", cli.script("mjob.sh", META), "--not", "beta")
    assert result.exit_code == 0, result.stderr

    cli.golden("explain_not_offered.txt", shown(cli, result.stdout.partition("(")[2][:8]))


def test_the_scheduler_s_reason_for_a_queued_job(cli: Cli) -> None:
    agent = cli.agent(Script(600))
    job_id = cli.submit()
    agent.cycles(2)
    put_note(cli, job_id, JobState.READY, "JobHeldUser")

    assert "  - it waits in the queue of alpha: JobHeldUser\n" in shown(cli, job_id)


def put_note(cli: Cli, job_id: str, state: JobState, note: str) -> None:
    """Publish a summary of alpha in which *job_id* has a note, and the record in which it waits."""
    jobs = cli.jobs
    stored = jobs.load(job_id)
    jobs.replace(stored, evolve(stored.job, state=state))
    registry = cli.world.client().list_agents.registry
    line = ActiveJob(job_id, "run.sh", state, "alpha", NOON, note)
    epoch = registry.systems()["alpha"].summary_epoch
    registry.publish_summary("alpha", ActiveSummary(epoch, (line,)))


def test_a_running_job_names_its_system(cli: Cli) -> None:
    agent = cli.agent(Script(600))
    job_id = cli.submit()
    agent.cycles(3)

    cli.golden("explain_running.txt", shown(cli, job_id))


def test_a_running_array_shows_its_progress_and_failed_tasks(cli: Cli) -> None:
    states = {n: TaskState(JobState.RUN) for n in range(1, 5)}
    states |= {1: TaskState(JobState.DONE, 0), 2: TaskState(JobState.ERROR, 127)}
    cli.put(
        a_job(
            state=JobState.RUN,
            claim=1,
            run_system="alpha",
            array_tid=ArrayRange.parse("1-4"),
            tasks=TaskStates.of(states),
        )
    )
    cli.world.store.put(f"jobs/3f7e7681/1/log/stderr.2/{0:020}", b"pyton: command not found\n")

    cli.golden("explain_running_array.txt", shown(cli, "3f7e7681"))


def test_a_failed_job_shows_its_exit_code_in_words_and_stderr(cli: Cli) -> None:
    stderr = "".join(f"line {number}\n" for number in range(1, 31)) + "\x1b[2Jkilled\n"
    job_id = cli.ended(script=Script(30, 137, "out\n", stderr))

    cli.golden("explain_failed.txt", shown(cli, job_id))


def test_the_end_of_stdout_is_shown_if_stderr_is_empty(cli: Cli) -> None:
    job_id = cli.ended(script=Script(30, 3, "on stdout\n"))
    screen = shown(cli, job_id)

    assert "Last lines of stdout:\n  | on stdout\n" in screen
    assert f"  cloudqcli log {job_id}  " in screen


def test_a_failed_array_shows_its_failed_tasks(cli: Cli) -> None:
    states = {n: TaskState(JobState.DONE, 0) for n in range(1, 11)}
    states |= {3: TaskState(JobState.ERROR, 139), 7: TaskState(JobState.TIMEOUT, None, "time limit")}
    tasks = TaskStates.of(states)
    reason = "; ".join(str(group) for group in tasks.groups if group.state is not JobState.DONE)
    job = a_finished_job(
        exit_code=139, array_tid=ArrayRange.parse("1-10"), tasks=tasks, error_msg=f"{reason}; disk full"
    )
    cli.put(job)
    cli.world.store.put("jobs/3f7e7681/1/stderr.3", b"Segmentation fault\n")

    cli.golden("explain_failed_tasks.txt", shown(cli, "3f7e7681"))


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("timeout", TaskState(JobState.TIMEOUT, None, "the scheduler ended it at its time limit")),
        ("lost", TaskState(JobState.ERROR, None, "lost: started on n1, and it left no exit record")),
        ("refused", TaskState(JobState.ERROR, None, "sbatch: error: invalid partition specified: x")),
        ("canceled", TaskState(JobState.DELETED, None, "canceled by tester@laptop before it was run")),
        ("done", TaskState(JobState.DONE, 0)),
    ],
)
def test_a_job_that_ended(cli: Cli, name: str, end: TaskState) -> None:
    cli.put(a_job(jobid="42", run_system="alpha", claim=1).ended(end, at(60)))

    cli.golden(f"explain_{name}.txt", shown(cli, "3f7e7681"))


def test_an_unknown_job_is_an_error_that_names_the_lists(cli: Cli) -> None:
    result = cli("explain", "12345678")

    assert (result.exit_code, result.stdout) == (5, "")
    assert result.stderr.splitlines() == [
        "cloudqcli: Job (12345678) does not exist.",
        "cloudqcli: It was deleted, or never submitted to this store. Ids: cloudqcli list; cloudqcli history",
    ]


def test_json_has_the_reasons_and_the_commands(cli: Cli) -> None:
    job_id = cli.submit()
    record = json.loads(cli("explain", job_id, "--json").stdout)

    assert record["job"]["uuid"] == job_id
    assert [(reason["cause"], reason["subject"]) for reason in record["reasons"]] == [("agent", "alpha")]
    assert record["next"][0]["command"] == "cloudqd --daemon --detach"


def test_several_jobs_are_explained_one_below_the_other(cli: Cli) -> None:
    cli.put(a_finished_job("00000001", exit_code=3))
    cli.put(a_finished_job("00000002"))
    result = cli("explain", "00000001", "12345678", "00000002")

    assert result.exit_code == 5
    assert [line for line in result.stdout.splitlines() if line.startswith("Job")] == [
        "Job (00000001) run.sh is ERROR on alpha, since 2026/01/31 21:00:00",
        "Job (00000002) run.sh is DONE on alpha, since 2026/01/31 21:00:00",
    ]
    assert "12345678" in result.stderr


def test_json_of_several_jobs_is_a_list(cli: Cli) -> None:
    for job_id in ("00000001", "00000002"):
        cli.put(a_finished_job(job_id))
    records = json.loads(cli("explain", "00000001", "00000002", "--json").stdout)

    assert [record["job"]["uuid"] for record in records] == ["00000001", "00000002"]


def test_an_unreadable_report_is_no_state_of_the_job(cli: Cli) -> None:
    job_id = cli.submit()
    cli.world.store.put("systems/alpha/lease.json", b"{}")

    assert "the report of the agent of alpha cannot be read: " in shown(cli, job_id)


def test_nothing_in_the_store_can_control_the_terminal(cli: Cli) -> None:
    cli.put(a_job(run_system="alpha", claim=1).ended(TaskState(JobState.ERROR, None, "\x1b[2J\nx"), at(60)))

    assert all(line.isprintable() for line in shown(cli, "3f7e7681").splitlines())
