"""What a submission can carry, and many submissions at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from cloudq.adapters.archives import ZipArchives
from cloudq.adapters.job_repository import BucketSystemRegistry
from cloudq.application.client.check_submission import jobs_of_lines
from cloudq.application.client.fetch_outputs import FetchOutputs
from cloudq.application.client.submit_many import JOBS_AT_ONCE, SubmitResult
from cloudq.client import Client
from cloudq.domain.errors import InvalidInput, StagedOutInPart, StoreUnavailable, UnknownSystem
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_request import JobSpec
from cloudq.domain.jobs.lease import Offer, OfferedResource
from cloudq.domain.scripts.command import Command
from cloudq.domain.scripts.jobscript import Jobscript
from tests.builders import JOB_ID, a_finished_job, a_lease
from tests.parts.counting_store import CountingStore
from tests.parts.dict_memory import DictMemory
from tests.parts.scripted_scheduler import Script
from tests.parts.world import World

META = Jobscript("mjob.sh", b"#$ project: p\n#$ resource: cpu\n#$ n_resource: 1\necho hello\n")


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with Client(world.client()) as client:
        yield client


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "run.sh"
    path.write_text("#!/bin/bash\necho hello\n")
    return path


def control_file(world: World, job: Job, name: str) -> str:
    return (world.tmp / "alpha" / "cache" / ".cloudq" / f"{job.uuid}.1" / name).read_text()


# One job ---------------------------------------------------------------------------------------


def test_the_record_has_everything_that_was_asked_for(client: Client, script: Path) -> None:
    job = client.submit(
        script, submit_to="alpha", args=["a", "b c"], name="sweep 7", env={"LR": "0.1", "X": "a=b"},
        labels={"team": "ai", "exp": "7"}, outputs=["*.csv"],
    ).job  # fmt: skip

    assert client.job(job.uuid) == job
    assert (job.name, job.script_file, job.script_name) == ("sweep 7", "run.sh", "run.sh")
    assert (job.arguments, job.environment) == (("a", "b c"), ("LR=0.1", "X=a=b"))
    assert (job.labels, job.outputs) == (("exp=7", "team=ai"), ("*.csv",))


def test_pairs_may_be_texts(client: Client, script: Path) -> None:
    job = client.submit(script, submit_to="alpha", env=["LR=0.1", "LR=0.2"], labels=["team=ai"]).job

    assert (job.environment, job.labels) == (("LR=0.2",), ("team=ai",))


def test_all_problems_of_the_new_values_are_reported_at_once(client: Client, script: Path) -> None:
    with pytest.raises(InvalidInput) as error:
        client.submit(
            script, submit_to="alpha", args=["\0"], name="a/b", env=["PATH=x", "1"], labels=["nolabel"],
            outputs=["/etc"], each_line=[["a\nb"]],
        )  # fmt: skip

    assert [problem.partition(":")[0] for problem in error.value.problems] == [
        "arguments of task 1",
        "job name 'a/b' has a path separator or colon in it",
        "label 'nolabel' has no '='",
        "argument 1 has a NUL character in it",
        "variable PATH is set by cloudq, the shell or the scheduler",
        "variable '1' has no '='",
        "output '/etc' is not below the work directory",
    ]


def test_a_script_keeps_its_file_name_in_the_work_directory(
    world: World, client: Client, script: Path
) -> None:
    agent = world.agent(world.system())
    job = client.submit(script, submit_to="alpha", name="sweep", force=True).job
    agent.until_final(job.uuid)

    assert (world.tmp / "alpha" / "cache" / job.uuid / "run.sh").exists()
    assert client.job(job.uuid).local_name == "run.sh"
    assert (client.stage_out(job.uuid, world.tmp / "here") / "run.sh").exists()


def test_a_script_needs_no_file(client: Client) -> None:
    job = client.submit(Jobscript("stdin.sh", b"echo hi\n"), submit_to="alpha").job

    assert (job.name, job.script_file) == ("stdin.sh", "")


def test_a_command_is_named_after_its_program(world: World, client: Client) -> None:
    job = client.submit(Command(["bin/train.py", "--lr", "0.1"]), submit_to="alpha", args=["x"]).job

    assert (job.name, job.script_name, job.arguments) == ("train.py", "command.sh", ("x",))
    assert world.body(f"jobs/{job.uuid}/script/train.py").endswith(b'exec bin/train.py --lr 0.1 "$@"\n')


def test_an_input_cannot_replace_a_script_without_a_file(client: Client, tmp_path: Path) -> None:
    (tmp_path / "command.sh").write_text("echo other\n")

    with pytest.raises(InvalidInput, match=r"input command\.sh: the script has the same name"):
        client.submit(Command(["id"]), submit_to="alpha", inputs=[tmp_path / "command.sh"])


def test_a_command_may_bring_its_own_program(client: Client, tmp_path: Path) -> None:
    (program := tmp_path / "train.py").write_text("print(1)\n")

    assert client.submit(Command(["./train.py"]), submit_to="alpha", inputs=[program]).job.has_input


def test_a_meta_jobscript_gets_arguments_too(world: World, client: Client) -> None:
    job = client.submit(META, submit_to="alpha", args=["a"]).job

    assert (job.is_meta, job.arguments) == (True, ("a",))


# Agents of older releases -------------------------------------------------------------------------


@pytest.fixture
def old_agent(world: World) -> None:
    """The lease of an agent that would ignore arguments."""
    offer = Offer("local", meta=True, resources=(OfferedResource("cpu"),))
    registry = BucketSystemRegistry(world.store, world.ids)
    registry.take_lease("alpha", a_lease(offer=offer), None)


@pytest.mark.usefixtures("old_agent")
@pytest.mark.parametrize(
    "wanted", [{"args": ["a"]}, {"env": ["X=1"]}, {"outputs": ["x"]}, {"each_line": [["a"]]}], ids=str
)
def test_no_agent_that_would_ignore_a_part_gets_the_job(
    client: Client, script: Path, wanted: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput, match="alpha cannot run the job: its agent is an older release"):
        client.submit(script, submit_to="alpha", **wanted)
    with pytest.raises(InvalidInput, match="alpha: its agent is an older release"):
        client.submit(META, without=["beta"], **wanted)


@pytest.mark.usefixtures("old_agent")
def test_a_job_with_arguments_is_not_requeued_to_such_an_agent(client: Client, script: Path) -> None:
    job_id = client.submit(script, submit_to="beta", args=["a"], force=True).job.uuid

    with pytest.raises(InvalidInput, match="alpha cannot run the job: its agent is an older release"):
        client.requeue(job_id, ["alpha"])


@pytest.mark.usefixtures("old_agent")
def test_an_agent_of_an_older_release_gets_jobs_without_such_parts(client: Client, script: Path) -> None:
    assert client.submit(script, submit_to="alpha", name="n", labels=["k=v"]).job.invited == ("alpha",)


# A line per task ---------------------------------------------------------------------------------


def test_each_line_is_a_task_of_an_array(world: World, client: Client, script: Path, tmp_path: Path) -> None:
    (params := tmp_path / "params.txt").write_text("--lr 0.1\n# comment\n\n--lr 'a b'\n")
    agent = world.agent(world.system())
    job = client.submit(script, submit_to="alpha", args=["common"], each_line=params, force=True).job
    agent.until_final(job.uuid)

    assert (str(job.array_tid), job.has_task_arguments, job.arguments) == ("1-2:1", True, ("common",))
    assert world.body(f"jobs/{job.uuid}/arguments") == b"--lr 0.1\n--lr 'a b'\n"
    assert control_file(world, job, "arguments") == "--lr 0.1\n--lr 'a b'\n"
    assert "cq_arguments=(common)\n" in control_file(world, job, "job_shell.sh")


def test_an_array_range_chooses_lines(client: Client, script: Path) -> None:
    job = client.submit(
        script, submit_to="alpha", each_line=[["a"], ["b"], ["c"], ["d"]], array_tid="2-4%2"
    ).job

    assert str(job.array_tid) == "2-4:1%2"


def test_lines_that_cannot_be_read_are_reported(client: Client, script: Path, tmp_path: Path) -> None:
    (params := tmp_path / "params.txt").write_text("a\n'b\n")

    with pytest.raises(InvalidInput, match=r"params\.txt line 2: cannot be split into words"):
        client.submit(script, submit_to="alpha", each_line=params)
    with pytest.raises(InvalidInput, match=r"none\.txt: cannot be read"):
        client.submit(script, submit_to="alpha", each_line=tmp_path / "none.txt")


def test_a_file_of_lines_has_a_limit(client: Client, script: Path, tmp_path: Path) -> None:
    (params := tmp_path / "params.txt").write_bytes(b"x\n" * (3 << 20))

    with pytest.raises(InvalidInput, match="larger than 4 MiB"):
        client.submit(script, submit_to="alpha", each_line=params)


def test_a_deleted_job_leaves_no_lines(world: World, client: Client, script: Path) -> None:
    job = client.submit(script, submit_to="alpha", each_line=[["a"]]).job
    client.cancel(job.uuid)
    client.delete(job.uuid)

    assert world.stored(f"jobs/{job.uuid}/") == []


# Running a job again -----------------------------------------------------------------------------


def test_a_rerun_keeps_everything_but_a_corrected_script(
    world: World, client: Client, script: Path, tmp_path: Path
) -> None:
    agent = world.agent(world.system(behaviour=lambda _, task: Script(exit_code=int(task == 2))))
    first = client.submit(
        script, submit_to="alpha", args=["a"], name="sweep", env={"LR": "1"}, labels={"k": "v"},
        outputs=["*.csv"], each_line=[["x"], ["y"]], force=True,
    ).job  # fmt: skip
    agent.until_final(first.uuid)
    (corrected := tmp_path / "fixed.sh").write_text("#!/bin/bash\necho corrected\n")
    again = client.rerun(first.uuid, script=corrected, failed=True).job

    for name in ("name", "arguments", "has_task_arguments", "environment", "labels", "outputs", "submit_to"):
        assert getattr(again, name) == getattr(first, name), name
    assert (again.script_name, str(again.array_tid)) == ("fixed.sh", "2")
    assert world.body(f"jobs/{again.uuid}/script/sweep") == corrected.read_bytes()
    assert world.body(f"jobs/{again.uuid}/arguments") == b"x\ny\n"


def test_a_job_named_after_its_script_is_named_after_the_corrected_one(
    world: World, client: Client, script: Path, tmp_path: Path
) -> None:
    agent = world.agent(world.system())
    first = client.submit(script, submit_to="alpha", force=True).job
    agent.until_final(first.uuid)
    (corrected := tmp_path / "fixed.sh").write_text("echo corrected\n")

    assert client.rerun(first.uuid, script=corrected).job.name == "fixed.sh"
    assert client.rerun(first.uuid).job.name == "run.sh"


# Many jobs ---------------------------------------------------------------------------------------


@define
class FailsFor(CountingStore):
    """A store that does not answer when certain scripts are written."""

    names: tuple[str, ...] = ()

    def put(self, key: str, body: bytes) -> str:
        if key.endswith(self.names):
            raise StoreUnavailable("no answer")
        return super().put(key, body)


@define
class Reports:
    names: list[str] = field(factory=list)

    def __call__(self, result: SubmitResult) -> None:
        self.names.append(result.name)


def specs(count: int, **options: Any) -> list[JobSpec]:
    return [JobSpec(Jobscript(f"{n}.sh", b"echo\n"), submit_to="alpha", **options) for n in range(count)]


def test_many_jobs_are_submitted_and_reported_in_order(world: World, client: Client) -> None:
    world.agent(world.system()).cycle()
    reports = Reports()
    results = client.submit_many(specs(JOBS_AT_ONCE + 3), report=reports)

    assert [result.name for result in results] == [f"{n}.sh" for n in range(JOBS_AT_ONCE + 3)]
    assert reports.names == [result.name for result in results]
    assert all(result.submitted and not result.error for result in results)
    assert len(client.jobs().jobs) == JOBS_AT_ONCE + 3


def test_systems_and_dependencies_are_looked_up_once(world: World) -> None:
    world.agent(world.system()).cycle()
    dependency = world.submit()
    world.store = store = CountingStore(world.store)
    client = Client(world.client())
    client.submit_many(specs(10, hold_jid=dependency))

    assert [key for kind, key in store.requests if kind == "LIST"] == ["systems/"]
    assert [key for kind, key in store.requests if kind == "GET"] == [
        f"jobs/{dependency}/manifest.json",
        "systems/alpha/lease.json",
    ]
    assert store.counts["PUT"] == 31
    assert store.requests[-1] == ("PUT", "doorbell/alpha")


def test_a_doorbell_that_does_not_ring_is_a_warning_of_each_job(world: World) -> None:
    world.store = FailsFor(world.store, names=("doorbell/alpha",))
    results = Client(world.client()).submit_many(specs(2))

    assert all(
        result.submitted and "alpha could not be notified" in result.submitted.warnings[-1]
        for result in results
    )


def test_a_job_that_fails_costs_the_others_nothing(world: World) -> None:
    world.store = FailsFor(world.store, names=("1.sh",))
    results = Client(world.client()).submit_many(specs(3))

    assert [bool(result.submitted) for result in results] == [True, False, True]
    assert str(results[1].error) == "The job was not submitted: no answer"


def test_a_store_that_never_answers_is_not_asked_for_every_job(world: World) -> None:
    world.store = store = FailsFor(world.store, names=(".sh",))
    results = Client(world.client()).submit_many(specs(3 * JOBS_AT_ONCE))

    assert all(isinstance(result.error, StoreUnavailable) for result in results)
    assert len([key for kind, key in store.requests if key.endswith("manifest.json")]) == JOBS_AT_ONCE
    assert len(results) == 3 * JOBS_AT_ONCE


def test_last_job_is_the_last_of_those_that_were_submitted(world: World) -> None:
    world.memory = DictMemory()
    client = Client(world.client())
    results = client.submit_many(specs(JOBS_AT_ONCE + 3))
    job_ids = [result.submitted.job.uuid for result in results if result.submitted]

    assert client.resolve("last") == job_ids[-1]
    assert list(client.memory.jobs()) == job_ids[::-1]


def test_beginning_of_an_id_is_looked_up_once_for_many_jobs(world: World) -> None:
    dependency = world.submit()
    store = world.store = CountingStore(world.store)
    results = Client(world.client()).submit_many(specs(10, hold_jid=dependency[:7]))

    assert {result.submitted.job.hold_jid for result in results if result.submitted} == {(dependency,)}
    assert store.counts["LIST"] == 2  # for the id, and for the systems


def test_a_problem_of_one_job_keeps_all_from_being_submitted(world: World, client: Client) -> None:
    empty = JobSpec(Jobscript("empty.sh", b""), submit_to="alpha", hold_jid="12345678")
    with pytest.raises(InvalidInput) as error:
        client.submit_many([*specs(2, hold_jid="12345678"), empty])

    assert error.value.problems == (
        "empty.sh: the script is empty",
        "hold_jid: job 12345678 does not exist",
    )
    assert world.stored() == []


def test_an_unknown_system_is_reported_once(world: World, client: Client) -> None:
    world.agent(world.system("beta")).cycle()

    with pytest.raises(UnknownSystem) as error:
        client.submit_many(specs(5))
    assert len(error.value.problems) == 1


def test_a_line_may_be_a_job_of_its_own(client: Client, script: Path) -> None:
    [one, two] = client.submit_each_line(
        [JobSpec(script, args=["train"], each_line=[["a"], ["b", "c"]], submit_to="alpha")]
    )

    assert [(result.name, result.arguments) for result in (one, two)] == [
        ("run.sh", ("train", "a")),
        ("run.sh", ("train", "b", "c")),
    ]
    assert one.submitted
    assert one.submitted.job.array_tid is None


def test_a_script_of_many_jobs_is_read_once(client: Client, script: Path) -> None:
    spec = JobSpec(script, each_line=[[str(n)] for n in range(9)], submit_to="alpha")
    requests = client._parts.submit_many.read(jobs_of_lines(spec))

    assert len({id(request.script) for request in requests}) == 1


def test_jobs_with_the_same_inputs_share_an_archive(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data := tmp_path / "data").write_text("1")
    packed = []
    pack = ZipArchives.pack
    monkeypatch.setattr(ZipArchives, "pack", lambda *args: packed.append(args[1]) or pack(*args))
    results = client.submit_many(specs(3, inputs=[data]))

    assert all(result.submitted and result.submitted.job.has_input for result in results)
    assert packed == [(data,)]


# Bringing outputs back -----------------------------------------------------------------------------


@define
class StagedOut:
    """A stage-out that leaves certain outputs, with an error if there is one."""

    outputs: dict[str, str]
    error: str = ""

    def __call__(self, job: Job, into: Path, *, note: object = None) -> Path:
        for name, text in self.outputs.items():
            path = into / job.uuid / "output" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if self.error:
            raise StagedOutInPart(job.uuid, into / job.uuid, [self.error])
        return into / job.uuid


def fetch(stage_out: Any) -> FetchOutputs:
    """Return the use case with that stage-out."""
    return FetchOutputs(stage_out)


def test_wanted_outputs_take_the_place_of_older_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")
    (tmp_path / "Makefile").write_text("mine")
    outputs = {"a.csv": "new", "deep/b.csv": "b", "Makefile": "hostile", ".bashrc": "hostile"}
    fetched = fetch(StagedOut(outputs))(a_finished_job(), tmp_path, ["*.csv", "deep", "missing"])

    assert {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*.*")} == {
        "a.csv": "new",
        "deep/b.csv": "b",
    }
    assert (tmp_path / "Makefile").read_text() == "mine"
    assert (fetched.files, fetched.unmatched) == (
        (tmp_path / "a.csv", tmp_path / "deep" / "b.csv"),
        ("missing",),
    )


def test_the_directory_for_outputs_is_made(tmp_path: Path) -> None:
    fetch(StagedOut({"a": "1"}))(a_finished_job(), tmp_path / "new" / "place", ["a"])

    assert (tmp_path / "new" / "place" / "a").read_text() == "1"


def test_what_is_missing_is_reported_after_the_others_are_in_place(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(StagedOutInPart) as error:
        fetch(StagedOut({"a": "1", "b": "2"}, "output: broken"))(a_finished_job(), tmp_path, ["*"])

    assert (tmp_path / "a").read_text() == "1"
    assert error.value.problems[0] == "output: broken"
    assert error.value.problems[1].startswith(f"{tmp_path / 'b'}: cannot be written: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert error.value.job_id == JOB_ID
