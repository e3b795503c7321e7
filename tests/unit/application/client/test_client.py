"""`cloudq.Client` as programs use it: the results of its methods, and the input that they reject."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudq.client import Client
from cloudq.domain.errors import (
    ConfigProblem,
    InvalidInput,
    JobNotFinal,
    JobNotFound,
    NoAgentLog,
    TargetExists,
    UnknownSystem,
    WaitTimedOut,
)
from cloudq.domain.jobs.job_request import JobRequest
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.scripts.target import AnySystem, Pinned, Target
from tests.parts.scripted_scheduler import Script
from tests.parts.world import SCRIPT, Agent, World


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with Client(world.client()) as client:
        yield client


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "run.sh"
    path.write_text("#!/bin/bash\necho hello\n")
    return path


def agent_of(world: World, name: str = "alpha", script: Script | None = None) -> Agent:
    """An agent that has reported once."""
    agent = world.agent(world.system(name, behaviour=lambda *_: script or Script()))
    agent.cycle()
    return agent


# Submitting --------------------------------------------------------------------------------------


def test_every_problem_is_told_at_once_those_in_the_store_too(world: World, client: Client) -> None:
    """Each problem names its subject; nothing is written."""
    agent_of(world)
    before = world.stored()
    twin = world.tmp / "deep" / "data.txt"
    twin.parent.mkdir()
    for path in (twin, world.tmp / "data.txt"):
        path.write_text("x")

    with pytest.raises(InvalidInput) as told:
        client.submit(
            world.tmp / "missing.sh",
            submit_to="beta",
            submit_opt='--comment="a b',
            hold_jid=["12345678", "nonsense", "3F7E7681"],
            array_tid="4-1",
            inputs=[world.tmp / "data.txt", twin, world.tmp / "nothing"],
        )
    assert [problem.replace(str(world.tmp), "") for problem in told.value.problems] == [
        "/missing.sh: cannot be read: No such file or directory",
        "hold_jid: 'nonsense' is not a job id: 8 hexadecimal digits in lower case, such as 3f7e7681",
        "hold_jid: '3F7E7681' is not a job id: 8 hexadecimal digits in lower case, such as 3f7e7681",
        "array range '4-1': 1 comes before 4",
        "submit_opt '--comment=\"a b' cannot be split into words: No closing quotation",
        "input /deep/data.txt: /data.txt has the same name in the work directory; rename one",
        "input /nothing: no such file or directory",
        "hold_jid: job 12345678 does not exist",
        ('unknown system "beta" (known: alpha).'),
    ]
    assert world.stored() == before


def test_what_only_the_store_knows_is_told_at_once_too(world: World, client: Client, script: Path) -> None:
    agent_of(world)

    with pytest.raises(UnknownSystem) as told:
        client.submit(script, submit_to="beta", hold_jid="12345678,87654321")
    assert [line.partition(" (")[0] for line in str(told.value).splitlines()] == [
        "hold_jid: job 12345678 does not exist",
        "hold_jid: job 87654321 does not exist",
        'unknown system "beta"',
    ]


def test_an_unknown_system_in_only_hides_no_other_problem(world: World, client: Client) -> None:
    agent_of(world)
    script = world.tmp / "mjob.sh"
    script.write_text("#$ project: p\n#$ resource: cpu\n#$ n_resource: 1\necho hello\n")

    with pytest.raises(UnknownSystem) as told:
        client.submit(script, only=["beta", "gamma"], hold_jid=["12345678"])
    assert [line.partition(" (")[0] for line in str(told.value).splitlines()] == [
        "hold_jid: job 12345678 does not exist",
        'unknown system "beta"',
        'unknown system "gamma"',
    ]


@pytest.mark.parametrize(
    "given", ["{0},{1}", " {0} , {1} ,{0}", ["{0}", "{1}"], ("{0}", "{1}", "{0}"), ["{0},{1}"]]
)
def test_job_ids_are_a_sequence_or_a_text_with_commas(
    world: World, client: Client, script: Path, given: str | list[str]
) -> None:
    ids = tuple(client.submit(script, submit_to="alpha").job.uuid for _ in range(2))
    named = given.format(*ids) if isinstance(given, str) else [text.format(*ids) for text in given]
    job = client.submit(script, submit_to="alpha", hold_jid=named, hold_ok_jid=named).job

    assert (job.hold_jid, job.hold_ok_jid) == (ids, ids)


def test_a_submission_with_an_input_keeps_the_order_of_warnings(world: World, client: Client) -> None:
    """Those about the words come first, then the inputs, then the systems."""
    script = world.tmp / "mjob.sh"
    script.write_text("#SBATCH -n 4\n#$ project: p\n#$ resource: cpu\n#$ n_resource: 1\necho hello\n")
    (data := world.tmp / "data").mkdir()
    (data / "broken").symlink_to("nowhere")
    submitted = client.submit(script, submit_to="Alpha", inputs=[data])

    assert [warning.partition(":")[0] for warning in submitted.warnings] == [
        "mjob.sh line 1",
        "Alpha is taken as alpha",
        "left out of the input",
        "No agent ever reported as alpha",
    ]


def test_a_system_nobody_knows_is_queued_for_by_force(world: World, client: Client, script: Path) -> None:
    agent_of(world)
    submitted = client.submit(script, submit_to="beta", force=True)
    agent_of(world, "beta").until_final(submitted.job.uuid)

    assert submitted.warnings == ("No agent ever reported as beta: the job waits until one does.",)


def test_a_dead_agent_is_told_by_submit_and_by_list(world: World, client: Client, script: Path) -> None:
    """The job is queued anyway: agents come back."""
    agent_of(world).die()
    world.clock.pass_by(3600)
    submitted = client.submit(script, submit_to="alpha")

    assert submitted.warnings == (
        "The agent of alpha has not reported for 60 min: the job waits until it does.",
    )
    assert client.jobs().warnings == (
        "The agent of alpha has not reported for 60 min: the states shown for its jobs may be outdated.",
    )
    assert [job.job_id for job in client.jobs().jobs] == [submitted.job.uuid]


@pytest.mark.parametrize("text", ["", " ", "4-1", "0-3", "1-4:0", "1-99999999", "1-", "-3", "a", "1-3%0"])
def test_an_array_that_cannot_be_is_refused(world: World, client: Client, script: Path, text: str) -> None:
    """An empty text is refused, too: an unset shell variable must not turn an array into a plain job."""
    with pytest.raises(InvalidInput, match=r"^array range "):
        client.submit(script, submit_to="alpha", array_tid=text)
    assert world.stored() == []


def test_an_input_that_would_take_the_script_s_place_is_refused(
    world: World, client: Client, script: Path
) -> None:
    other = world.tmp / "other" / script.name
    other.parent.mkdir()
    other.write_text("echo another\n")

    with pytest.raises(InvalidInput, match="the script has the same name in the work directory; rename one"):
        client.submit(script, submit_to="alpha", inputs=[other])
    assert world.stored() == []


def test_the_script_may_be_among_its_inputs(world: World, client: Client, script: Path) -> None:
    """As with ``--input *``; the script is run, whatever its mode was on the client."""
    agent = agent_of(world)
    job_id = client.submit(script, submit_to="alpha", inputs=[script]).job.uuid
    agent.until_final(job_id)

    assert os.access(world.tmp / "alpha" / "cache" / job_id / script.name, os.X_OK)


def test_a_script_that_never_ends_is_read_no_further_than_a_script_can_be(client: Client) -> None:
    with pytest.raises(InvalidInput, match="zero: larger than 4 MiB"):
        client.submit("/dev/zero", submit_to="alpha")


@pytest.mark.parametrize("name", ["new\nline.sh", "a\\b.sh", "C:job.sh", "tab\t.sh", "x" * 201])
def test_a_script_name_that_no_system_could_take_is_refused(world: World, client: Client, name: str) -> None:
    (world.tmp / name).write_text("echo hello\n")

    with pytest.raises(InvalidInput) as told:
        client.submit(world.tmp / name, submit_to="alpha")
    [problem] = told.value.problems
    assert problem.startswith("script name ")
    assert "\n" not in problem
    assert world.stored() == []


@pytest.mark.parametrize("name", ["with blanks.sh", 'it\'s "quoted" $(x).sh', "-rf", "größe.sh", "..sh"])
def test_a_script_may_have_any_other_name(world: World, client: Client, name: str) -> None:
    agent = agent_of(world)
    (world.tmp / name).write_text("echo hello\n")
    job_id = client.submit(world.tmp / name, submit_to="alpha").job.uuid
    agent.until_final(job_id)

    assert (client.stage_out(job_id, world.tmp / "into") / name).read_text() == "echo hello\n"


def test_an_input_name_that_would_break_a_line_is_shown_on_one(
    world: World, client: Client, script: Path
) -> None:
    (world.tmp / "a\nb").write_text("x")

    with pytest.raises(InvalidInput) as told:
        client.submit(script, submit_to="alpha", inputs=[world.tmp / "a\nb", world.tmp / "c\nd"])
    assert len(told.value.problems) == len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize("target", [AnySystem(), Pinned(())])
def test_a_request_for_a_local_jobscript_needs_a_system(world: World, target: Target) -> None:
    with pytest.raises(InvalidInput, match="no target system: neither the request nor run_on in the script"):
        world.client().submit(JobRequest(SCRIPT, target))
    assert world.stored() == []


def test_nothing_to_submit_to_is_refused(client: Client, script: Path) -> None:
    with pytest.raises(InvalidInput, match="no target system"):
        client.submit(script, submit_to="")


# Reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("job_id", ["", "nonsense", "../../etc", "3F7E7681", "3f7e7681.1", "3f7e76811"])
def test_ids_are_checked_before_anything_is_asked(client: Client, job_id: str) -> None:
    for ask in (client.job, client.wait, client.log, client.stage_out, client.cancel, client.delete):
        with pytest.raises(InvalidInput, match="is not a job id: 8 hexadecimal digits in lower case"):
            ask(job_id)  # type: ignore[operator]


def test_an_unknown_job_is_said_to_be_unknown(world: World, client: Client) -> None:
    for ask in (client.job, client.wait, client.log, client.stage_out, client.cancel, client.delete):
        with pytest.raises(JobNotFound, match=r"^Job \(12345678\) does not exist\.$"):
            ask("12345678")  # type: ignore[operator]
    assert world.stored() == []


def test_waiting_ends_after_a_time_and_the_job_goes_on(world: World, client: Client, script: Path) -> None:
    job_id = client.submit(script, submit_to="alpha").job.uuid

    with pytest.raises(WaitTimedOut, match=rf"^Job \({job_id}\) is still INIT after 60 s; it continues\.$"):
        client.wait(job_id, timeout=60)
    assert client.job(job_id).state is JobState.INIT
    assert WaitTimedOut.exit_code == 9


def test_a_log_needs_a_task_of_an_array_and_of_no_other_job(
    world: World, client: Client, script: Path
) -> None:
    agent = agent_of(world, script=Script(5, 0, "hello\n"))
    plain = client.submit(script, submit_to="alpha").job.uuid
    array = client.submit(script, submit_to="alpha", array_tid="1-3").job.uuid
    agent.until_final(plain, array)

    for ask in (client.log, client.follow_log):
        with pytest.raises(InvalidInput, match="has no tasks: it is not an array job"):
            list(ask(plain, tid=1))
        with pytest.raises(InvalidInput, match=r"is an array \(1-3:1\): name a task"):
            list(ask(array))
        with pytest.raises(InvalidInput, match=r"has tasks 1-3:1"):
            list(ask(array, tid=4))
        assert b"".join(ask(array, tid=3)) == b"hello\n"
    for ask_all in (client.task_logs, client.follow_task_logs):
        assert [(line.task, line.line) for line in ask_all(array)] == [(n, b"hello\n") for n in (1, 2, 3)]


def test_the_log_of_an_agent_is_deleted_once(world: World, client: Client) -> None:
    world.store.put("logs/alpha/cloudqd.log", b"acting\n")

    assert b"".join(client.agent_log("alpha")) == b"acting\n"
    client.delete_agent_log("alpha")
    with pytest.raises(NoAgentLog, match="There is no agent log of alpha"):
        client.delete_agent_log("alpha")
    with pytest.raises(NoAgentLog, match="There is no agent log of alpha"):
        list(client.agent_log("alpha"))
    with pytest.raises(InvalidInput, match="is not a system name"):
        client.agent_log("../alpha")


def test_history_gives_the_newest_and_no_more_than_asked_for(
    world: World, client: Client, script: Path
) -> None:
    agent = agent_of(world)
    ids = []
    for _ in range(3):
        ids.append(client.submit(script, submit_to="alpha").job.uuid)
        agent.until_final(ids[-1])

    assert [entry.job_id for entry in client.history()] == ids[::-1]
    assert [entry.job_id for entry in client.history(2)] == ids[:0:-1]
    assert list(client.history(0)) == []


# Fetching and deleting ---------------------------------------------------------------------------


def test_a_directory_that_exists_is_not_overwritten(world: World, client: Client, script: Path) -> None:
    agent = agent_of(world)
    job_id = client.submit(script, submit_to="alpha").job.uuid
    agent.until_final(job_id)
    mine = world.tmp / "into" / job_id
    mine.mkdir(parents=True)
    (mine / "precious").write_text("data")

    with pytest.raises(TargetExists, match="already exists: move it away, or choose another place"):
        client.stage_out(job_id, world.tmp / "into")
    assert [path.name for path in mine.iterdir()] == ["precious"]


def test_a_place_that_cannot_be_written_to_is_named(world: World, client: Client, script: Path) -> None:
    job_id = client.submit(script, submit_to="alpha").job.uuid

    with pytest.raises(InvalidInput, match=rf"^cannot write {script}"):
        client.stage_out(job_id, script)


def test_a_job_that_runs_is_not_deleted(world: World, client: Client, script: Path) -> None:
    """Neither by its id nor with all other jobs; nothing of it is deleted."""
    agent = agent_of(world, script=Script(600))
    ended = client.submit(script, submit_to="alpha").job.uuid
    client.cancel(ended)
    job_id = client.submit(script, submit_to="alpha").job.uuid
    agent.cycles(3)

    with pytest.raises(JobNotFinal, match=r"is RUN: only a finished job can be deleted"):
        client.delete(job_id)
    assert list(client.delete_finished()) == [ended]
    agent.until_final(job_id)
    assert client.job(job_id).state is JobState.DONE


def test_what_is_left_of_a_job_without_a_record_can_be_deleted(
    world: World, client: Client, script: Path
) -> None:
    job_id = client.submit(script, submit_to="alpha").job.uuid
    world.store.delete([f"jobs/{job_id}/manifest.json"])
    client.delete(job_id)

    assert world.stored("jobs/") == []


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match=r"nowhere\.toml: does not exist"):
        Client.connect(tmp_path / "nowhere.toml")


def test_a_client_can_be_made_of_a_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDQ_HOME", str(tmp_path / "home"))
    file = tmp_path / "config.toml"
    file.write_text(f'[store]\nendpoint_url = "{(tmp_path / "store").as_uri()}"\n')

    with Client.connect(str(file)) as client:
        assert client.jobs().jobs == ()
