"""Test the contract of every batch scheduler, on real processes and on scripted ones."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import pytest

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.schedulers.grid_engine.scheduler import GridEngineScheduler, GridEngineTimes
from cloudq.adapters.schedulers.local.scheduler import EmbeddedScheduler
from cloudq.adapters.schedulers.pbs.scheduler import PbsScheduler
from cloudq.adapters.schedulers.slurm.scheduler import SlurmScheduler
from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.domain.errors import SubmitRefused
from cloudq.domain.jobs.job_shell import BLOCKED, NOT_ITS_TURN
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.ports.batch_scheduler import BatchScheduler, Submission
from cloudq.ports.clock import Clock
from cloudq.testing.fake_clock import FakeClock
from tests.parts.fake_grid_engine.cell import FakeGridEngine
from tests.parts.fake_pbs.complex import FakePbs
from tests.parts.fake_slurm.cluster import FakeSlurm
from tests.parts.grid_engine import GridEngine
from tests.parts.real_pbs import RealPbs
from tests.parts.scripted_scheduler import Script, ScriptedScheduler
from tests.parts.shell_claim import plan_of, prepare
from tests.parts.slurm import Slurm

LONG_S = 60.0
PATIENCE_S = 60.0

Scripts = Callable[[int | None], Script]


class Rig:
    """A scheduler with two slots, and the facts about its kind that a test needs."""

    options: Sequence[str] = ()
    """The options of every job."""
    harmless: Sequence[str] = ("--slots", "2")
    refused: tuple[str, str] | None = None
    """An option that only the scheduler itself can refuse, and a part of its message."""
    senseless: Sequence[str] = ("--wait", "--time=60", "--slots=none", "--array=1-4", "--partition=gpu")
    one_second = "--time=1s"
    sparse = "1,5,9%1"
    """Tasks 1, 5 and 9, one at a time."""
    array_words: Sequence[str] = ("--array", "1-4:1")
    """Some of the words that request four tasks."""
    leaves_record_when_canceled = True
    tells_free_slots = True
    forgets = True
    """Whether the scheduler forgets a job as soon as `forget` is called."""

    clock: Clock
    workspace: DirectoryWorkspace
    scheduler: BatchScheduler
    ids: list[str]

    def another(self) -> BatchScheduler:
        """Return a second agent's view of the same scheduler."""
        raise NotImplementedError

    def prepare(self, space: DirectoryClaimSpace, scripts: Scripts, tasks: Sequence[int | None]) -> None:
        raise NotImplementedError

    def pass_time(self) -> None:
        raise NotImplementedError

    def elapsed(self) -> float:
        return self.clock.elapsed()

    def let_time_run_out(self, scheduler_job_id: str) -> None:
        """Do nothing: here a limit of one second is one second."""

    def clean_up(self) -> None:
        """Do nothing: no process is left."""


class RealRig(Rig):
    """Scripts become bash scripts and run for real."""

    step_s = 0.01

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.workspace = DirectoryWorkspace(folder / "home", self.clock, RandomIds())
        self.folder = folder
        self.ids = []

    def prepare(self, space: DirectoryClaimSpace, scripts: Scripts, tasks: Sequence[int | None]) -> None:
        cases = "\n".join(f"{task or '*'})\n{_as_bash(scripts(task))};;" for task in tasks)
        body = f"#!/bin/bash\ncase {self.scheduler.dialect.task_id} in\n{cases}\nesac\n"
        prepare(space, body, self.scheduler.dialect)

    def pass_time(self) -> None:
        self.clock.sleep(self.step_s)


class LocalRig(RealRig):
    """The embedded scheduler on this machine."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.scheduler = self.another()

    def another(self) -> EmbeddedScheduler:
        return EmbeddedScheduler(self.folder / "local", slots=2, poll_interval_s=0.01, kill_wait_s=0.5)

    def clean_up(self) -> None:
        self.scheduler.cancel(self.ids)
        begun = self.elapsed()
        while not all(_has_ended(job.tasks) for job in self.scheduler.poll(self.ids).values()):
            assert self.elapsed() - begun < PATIENCE_S
            self.pass_time()


class FakeSlurmRig(RealRig):
    """Stand-ins for Slurm's commands, which run jobs for real."""

    step_s = 0.05
    harmless = ("--comment", "hello world")
    refused = ("--partition=gpu", "invalid partition")
    senseless = ("--wait", "--test-only", "--wrap=date", "--array=x")
    one_second = "--time=0:01"
    forgets = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.slurm = FakeSlurm(folder)
        self.scheduler = self.another()

    def another(self) -> SlurmScheduler:
        return SlurmScheduler(environ={**os.environ, **self.slurm.environment()})

    def clean_up(self) -> None:
        self.slurm.end_everything()


class FakePbsRig(RealRig):
    """Stand-ins for PBS's commands, which run jobs for real."""

    step_s = 0.05
    harmless = ("-A", "hello world")
    refused = ("-qnowhere", "Unknown queue")
    senseless = ("-I", "-z", "--version", "-C", "-X")
    one_second = "-lwalltime=1"
    array_words = ("-J", "1-4:1")
    tells_free_slots = False
    forgets = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.pbs = FakePbs(folder)
        self.scheduler = self.another()

    def another(self) -> PbsScheduler:
        return PbsScheduler(environ={**os.environ, **self.pbs.environment()})

    def clean_up(self) -> None:
        self.pbs.end_everything()


class RealPbsRig(FakePbsRig):
    """A real PBS with one node, half of which each job takes."""

    step_s = 0.2

    def __init__(self, folder: Path) -> None:
        RealRig.__init__(self, folder)
        self.real = RealPbs()
        self.options = self.real.half_of_the_node
        self.scheduler = self.another()

    def another(self) -> PbsScheduler:
        return PbsScheduler(environ={**os.environ, **self.real.environment()})

    def clean_up(self) -> None:
        self.real.end_everything()


class SlurmRig(RealRig):
    """A real Slurm, on which each job takes half of all CPUs."""

    step_s = 0.2
    options = ("--exclusive",)
    harmless = FakeSlurmRig.harmless
    refused = FakeSlurmRig.refused
    senseless = FakeSlurmRig.senseless
    one_second = "--time=1"
    forgets = False

    def __init__(self, folder: Path, slurm: Slurm) -> None:
        super().__init__(folder)
        self.slurm = slurm
        self.scheduler = self.another()

    def another(self) -> SlurmScheduler:
        return SlurmScheduler(environ={**os.environ, **self.slurm.environment()})

    def let_time_run_out(self, scheduler_job_id: str) -> None:
        self.slurm.let_time_run_out(scheduler_job_id)

    def clean_up(self) -> None:
        self.slurm.clear()


class FakeGridEngineRig(RealRig):
    """Stand-ins for Grid Engine's commands, which run jobs for real."""

    step_s = 0.05
    harmless = ("-A", "hello world")
    refused = ("-l nope=1", "unknown resource")
    senseless = ("-sync y", "-verify", "-b y", "-t x")
    one_second = "-l h_rt=0:0:1"
    sparse = "1-9:4%1"
    array_words = ("-t", "1-4:1")
    leaves_record_when_canceled = False  # qdel kills the job shell
    forgets = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.cell = self.start(folder)
        self.scheduler = self.another()

    def start(self, folder: Path) -> FakeGridEngine | GridEngine:
        return FakeGridEngine(folder)

    def another(self) -> GridEngineScheduler:
        environ = {**os.environ, **self.cell.environment()}
        times = GridEngineTimes(accounting_wait_s=0.2)
        return GridEngineScheduler(times, elapsed=self.clock.elapsed, environ=environ)

    def clean_up(self) -> None:
        assert isinstance(self.cell, FakeGridEngine)
        self.cell.end_everything()


class GridEngineRig(FakeGridEngineRig):
    """A real Grid Engine, on which each job takes half of a resource."""

    step_s = 0.2
    options = ("-l", "rt_F=2")
    tells_free_slots = False  # there are more free slots than units of that resource

    def __init__(self, folder: Path, cell: GridEngine) -> None:
        self.real = cell
        super().__init__(folder)

    def start(self, folder: Path) -> GridEngine:
        return self.real

    def clean_up(self) -> None:
        self.real.clear()


class ScriptedRig(Rig):
    """A scheduler that plays scripts on a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.workspace = DirectoryWorkspace(folder / "home", self.clock, RandomIds())
        self.played: dict[ClaimTag, Scripts] = {}
        self.ids = []
        self.scheduler = ScriptedScheduler(self.clock, self._play, slots=2)

    def another(self) -> BatchScheduler:
        return self.scheduler

    def _play(self, submission: Submission, task: int | None) -> Script:
        return self.played[submission.tag](task)

    def prepare(self, space: DirectoryClaimSpace, scripts: Scripts, tasks: Sequence[int | None]) -> None:
        prepare(space, "#!/bin/bash\n", self.scheduler.dialect)
        self.played[space.tag] = scripts

    def pass_time(self) -> None:
        self.clock.sleep(0.1)


def _as_bash(script: Script) -> str:
    outputs = "".join(
        f"printf %s {shlex.quote(content.decode())} >{shlex.quote(name)}\n"
        for name, content in script.outputs.items()
    )
    sleep = f"sleep {script.duration_s} || exit" if script.duration_s else ""
    return (
        f"printf %s {shlex.quote(script.stdout)}\nprintf %s {shlex.quote(script.stderr)} >&2\n"
        f"{sleep}\n{outputs}exit {script.exit_code}\n"
    )


def _has_ended(tasks: Mapping[int | None, SchedulerStatus]) -> bool:
    return all(status.life is Life.ENDED for status in tasks.values())


@pytest.fixture(
    params=[
        LocalRig,
        ScriptedRig,
        FakeSlurmRig,
        FakePbsRig,
        pytest.param(RealPbsRig, marks=pytest.mark.xdist_group("pbs")),
        FakeGridEngineRig,
        pytest.param(SlurmRig, marks=[pytest.mark.real, pytest.mark.xdist_group("slurm")]),
        pytest.param(GridEngineRig, marks=[pytest.mark.real, pytest.mark.xdist_group("gridengine")]),
    ]
)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    if request.param is SlurmRig:
        rig: Rig = SlurmRig(tmp_path, request.getfixturevalue("slurm"))
    elif request.param is GridEngineRig:
        rig = GridEngineRig(tmp_path, request.getfixturevalue("grid_engine"))
    else:
        rig = request.param(tmp_path)
    yield rig
    rig.clean_up()


_numbers = count(1)


def a_space(
    rig: Rig, script: Script | Scripts | None = None, array: str | None = None
) -> DirectoryClaimSpace:
    """Create a claim's space in which everything is ready for the hand-over."""
    space = rig.workspace.space(ClaimTag(f"{next(_numbers):08x}", 1))
    scripts = script if callable(script) else lambda _task: script or Script()
    tasks = ArrayRange.parse(array) if array else [None]
    rig.prepare(space, scripts, list(tasks))
    return space


def submit(
    rig: Rig, space: DirectoryClaimSpace, options: Sequence[str] = (), array: str | None = None
) -> str:
    number = len(space.attempts()) + 1
    plan = plan_of(rig.scheduler, space, [*rig.options, *options], array)
    files = space.begin_attempt(number, plan.command, 10)
    scheduler_job_id = rig.scheduler.submit(plan, files)
    rig.ids.append(scheduler_job_id)
    return scheduler_job_id


def until(
    rig: Rig, scheduler_job_id: str, wanted: Callable[[Mapping[int | None, SchedulerStatus]], bool]
) -> Mapping[int | None, SchedulerStatus]:
    begun = rig.elapsed()
    while True:
        job = rig.scheduler.poll([scheduler_job_id]).get(
            scheduler_job_id
        )  # gone but not yet in the accounting: missing
        if job is not None and job.tasks and wanted(job.tasks):
            return job.tasks
        assert rig.elapsed() - begun < PATIENCE_S, job
        rig.pass_time()


def ended(rig: Rig, scheduler_job_id: str, task: int | None = None) -> SchedulerStatus:
    return until(rig, scheduler_job_id, _has_ended)[task]


def is_running(tasks: Mapping[int | None, SchedulerStatus]) -> bool:
    return any(status.life is Life.RUNNING for status in tasks.values())


def has_started(rig: Rig, space: DirectoryClaimSpace, scheduler_job_id: str, text: str) -> None:
    """Wait until the script has printed *text*."""
    log = space.log_path("stdout", None)
    until(rig, scheduler_job_id, lambda _: log.exists() and text in log.read_text())


def test_a_script_that_succeeds_is_done_and_leaves_its_records(rig: Rig) -> None:
    space = a_space(rig, Script(stdout="hello", stderr="careful", outputs={"result.txt": b"42"}))
    scheduler_job_id = submit(rig, space)

    assert ended(rig, scheduler_job_id).verdict is JobState.DONE
    records = space.records([None])[None]
    assert records.holder == scheduler_job_id
    assert records.start is not None
    assert records.exit is not None
    assert (records.exit.exit_code, records.exit.signal) == (0, "")
    assert space.log_path("stdout", None).read_text() == "hello"
    assert space.log_path("stderr", None).read_text() == "careful"
    assert (space.work_dir / "result.txt").read_text() == "42"


def test_a_script_that_fails_is_an_error_with_its_exit_code(rig: Rig) -> None:
    space = a_space(rig, Script(exit_code=3))

    status = ended(rig, submit(rig, space))

    assert (status.verdict, status.exit_code) == (JobState.ERROR, 3)


def test_the_answer_to_a_submission_can_be_read_from_its_files(rig: Rig) -> None:
    space = a_space(rig)
    scheduler_job_id = submit(rig, space)

    assert rig.another().submitted(space.attempt_files(1)) == scheduler_job_id
    assert rig.another().submitted(space.attempt_files(2)) is None


def test_a_job_is_found_by_its_tag_while_it_is_known(rig: Rig) -> None:
    space, other = a_space(rig, Script(duration_s=LONG_S)), a_space(rig)
    scheduler_job_id = submit(rig, space)
    submit(rig, other)

    assert rig.another().find(space.tag) == (scheduler_job_id,)
    rig.scheduler.cancel([scheduler_job_id])
    ended(rig, scheduler_job_id)
    assert rig.scheduler.find(space.tag) == (scheduler_job_id,)
    assert rig.scheduler.find(ClaimTag("ffffffff", 9)) == ()


def test_unknown_ids_are_missing_in_the_answer(rig: Rig) -> None:
    scheduler_job_id = submit(rig, a_space(rig, Script(duration_s=LONG_S)))

    assert set(rig.scheduler.poll(["999", scheduler_job_id, "nonsense"])) == {scheduler_job_id}


def test_an_unknown_option_is_refused_for_good_and_by_name(rig: Rig) -> None:
    if rig.refused is None:
        pytest.skip("its plan refuses every such option")
    space = a_space(rig)
    files = space.begin_attempt(1, "submit", 10)

    option, words = rig.refused

    with pytest.raises(SubmitRefused, match=words):
        rig.scheduler.submit(plan_of(rig.scheduler, space, option.split()), files)

    with pytest.raises(SubmitRefused, match=words):
        rig.scheduler.submitted(files)
    assert rig.scheduler.find(space.tag) == ()


def test_options_that_make_no_sense_are_refused_by_name(rig: Rig) -> None:
    space = a_space(rig)
    for option in rig.senseless:
        words = option.split()
        with pytest.raises(SubmitRefused, match=words[0].partition("=")[0].strip("-")):
            plan_of(rig.scheduler, space, words)


def test_every_task_of_an_array_has_its_own_end_and_log(rig: Rig) -> None:
    space = a_space(
        rig, lambda task: Script(exit_code=3 if task == 2 else 0, stdout=f"task {task}"), array="1-3"
    )

    tasks = until(rig, submit(rig, space, array="1-3"), _has_ended)

    assert {task: status.exit_code for task, status in tasks.items()} == {1: 0, 2: 3, 3: 0}
    assert [space.log_path("stdout", task).read_text() for task in (1, 2, 3)] == [
        "task 1",
        "task 2",
        "task 3",
    ]
    assert all(record.exit for record in space.records([1, 2, 3]).values())


def test_no_more_tasks_run_at_once_than_the_array_allows(rig: Rig) -> None:
    space = a_space(rig, Script(duration_s=LONG_S), array=rig.sparse)

    tasks = until(rig, submit(rig, space, array=rig.sparse), is_running)

    assert [tasks[task].life for task in (1, 5, 9)] == [Life.RUNNING, Life.QUEUED, Life.QUEUED]


def test_jobs_wait_in_order_for_free_slots(rig: Rig) -> None:
    if rig.tells_free_slots:
        assert (rig.scheduler.free_slots() or 0) > 0
    first, second, third = (submit(rig, a_space(rig, Script(duration_s=LONG_S))) for _ in range(3))
    until(rig, second, is_running)

    jobs = rig.scheduler.poll([first, second, third])
    assert [job.tasks[None].life for job in jobs.values()] == [Life.RUNNING, Life.RUNNING, Life.QUEUED]
    assert not (rig.tells_free_slots and rig.scheduler.free_slots())
    rig.scheduler.cancel([first])
    until(rig, third, is_running)


def test_a_queued_job_that_is_canceled_never_starts(rig: Rig) -> None:
    busy = [submit(rig, a_space(rig, Script(duration_s=LONG_S))) for _ in range(2)]
    until(rig, busy[1], is_running)
    space = a_space(rig)
    scheduler_job_id = submit(rig, space)

    rig.scheduler.cancel([scheduler_job_id])
    rig.scheduler.cancel(busy)

    assert ended(rig, scheduler_job_id).verdict is JobState.DELETED
    assert [ended(rig, each).verdict for each in busy] == [JobState.DELETED] * 2
    assert space.records([None])[None].holder is None


def test_a_running_job_that_is_canceled_leaves_the_signal_in_its_record(rig: Rig) -> None:
    space = a_space(rig, Script(duration_s=LONG_S, stdout="begun"))
    scheduler_job_id = submit(rig, space)
    has_started(rig, space, scheduler_job_id, "begun")

    rig.scheduler.cancel([scheduler_job_id])
    rig.scheduler.cancel([scheduler_job_id, "999"])

    assert ended(rig, scheduler_job_id).verdict is JobState.DELETED
    record = space.records([None])[None].exit
    told = (record.exit_code, record.signal) if record else None
    assert told == ((143, "TERM") if rig.leaves_record_when_canceled else None)


def test_canceling_a_job_that_has_ended_changes_nothing(rig: Rig) -> None:
    scheduler_job_id = submit(rig, a_space(rig))
    ended(rig, scheduler_job_id)

    rig.scheduler.cancel([scheduler_job_id])

    assert ended(rig, scheduler_job_id).verdict is JobState.DONE


@pytest.mark.parametrize("how", ["option", "header line"])
def test_a_job_that_runs_too_long_is_timed_out(rig: Rig, how: str) -> None:
    space = a_space(rig, Script(duration_s=LONG_S))
    options = rig.one_second.split() if how == "option" else []
    if how == "header line":
        shell = space.job_shell.read_text().split("\n", 1)
        line = f"{rig.scheduler.dialect.header.prefix.strip()} {rig.one_second}"
        space.job_shell.write_text(f"{shell[0]}\n{line}\n{shell[1]}")
    scheduler_job_id = submit(rig, space, options)
    until(rig, scheduler_job_id, is_running)
    rig.let_time_run_out(scheduler_job_id)

    status = ended(rig, scheduler_job_id)

    assert status.verdict is JobState.TIMEOUT
    assert "time limit" in status.reason


def test_the_second_submission_of_a_claim_does_not_start_the_script_again(rig: Rig) -> None:
    space = a_space(rig, Script(stdout="once"))
    first = submit(rig, space)
    ended(rig, first)
    second = submit(rig, space)

    status = ended(rig, second)
    assert (status.verdict, status.exit_code) == (JobState.ERROR, NOT_ITS_TURN)
    assert space.records([None])[None].holder == first
    assert space.log_path("stdout", None).read_text() == "once"
    assert set(rig.scheduler.find(space.tag)) == {first, second}


def test_a_claim_that_was_blocked_does_not_start(rig: Rig) -> None:
    space = a_space(rig, Script(stdout="never"))

    assert space.block(None) == BLOCKED
    ended(rig, submit(rig, space))

    assert not space.log_path("stdout", None).exists() or not space.log_path("stdout", None).read_text()
    assert space.records([None])[None].exit is None


def test_a_finished_job_is_dropped_when_its_end_is_recorded(rig: Rig) -> None:
    space = a_space(rig)
    scheduler_job_id = submit(rig, space)
    ended(rig, scheduler_job_id)

    rig.scheduler.forget(space.tag, [scheduler_job_id, "999"])

    assert not rig.forgets or rig.scheduler.poll([scheduler_job_id]) == {}
    assert rig.scheduler.find(ClaimTag("ffffffff", 1)) == ()
    assert submit(rig, a_space(rig)) != scheduler_job_id


def test_the_end_of_another_claims_job_is_not_dropped(rig: Rig) -> None:
    scheduler_job_id = submit(rig, a_space(rig))
    end = ended(rig, scheduler_job_id)

    rig.scheduler.forget(ClaimTag("ffffffff", 1), [scheduler_job_id])

    assert rig.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks[None] == end


def test_a_job_that_runs_is_not_forgotten(rig: Rig) -> None:
    space = a_space(rig, Script(duration_s=LONG_S))
    scheduler_job_id = submit(rig, space)
    until(rig, scheduler_job_id, is_running)

    rig.scheduler.forget(space.tag, [scheduler_job_id])

    assert is_running(rig.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks)


def test_the_command_is_told_as_a_user_would_type_it(rig: Rig) -> None:
    space = a_space(rig)
    plan = plan_of(rig.scheduler, space, rig.harmless, "1-4")
    command = shlex.split(plan.command)

    for words in (command, plan.typed):
        assert "=".join(rig.array_words) in words or set(rig.array_words) <= set(words)
        assert set(rig.harmless) <= set(words)
    assert os.fspath(space.job_shell) in command
    assert not [word for word in plan.typed if os.fspath(space.control_dir) in word]
