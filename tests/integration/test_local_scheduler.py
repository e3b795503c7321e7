"""The embedded scheduler with real processes that are killed, outlive their agent, or exceed their limits."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.filesystem import read_fields
from cloudq.adapters.process import ProcessIdentity, is_gone, parse_identity
from cloudq.adapters.schedulers.local.scheduler import EmbeddedScheduler
from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.domain.errors import SubmitRefused
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.names import ClaimTag
from tests.parts.shell_claim import plan_of, prepare

PATIENCE_S = 30.0


class Machine:
    """The scheduler and workspace of one agent."""

    def __init__(self, folder: Path) -> None:
        self.workspace = DirectoryWorkspace(folder / "home", SystemClock(), RandomIds())
        self.root = folder / "local"
        self.scheduler = self.another()
        self.ids: list[str] = []

    def another(self, **environ: str) -> EmbeddedScheduler:
        return EmbeddedScheduler(self.root, slots=3, kill_wait_s=0.5, environ={**os.environ, **environ})

    def submit(self, body: str, *options: str, array: str | None = None) -> tuple[DirectoryClaimSpace, str]:
        space = self.workspace.space(ClaimTag(f"{len(self.ids) + 1:08x}", 1))
        prepare(space, body, self.scheduler.dialect, array=array)
        files = space.begin_attempt(1, "local", 10)
        self.ids.append(self.scheduler.submit(plan_of(self.scheduler, space, options, array), files))
        return space, self.ids[-1]

    def process(self, scheduler_job_id: str, kind: str) -> ProcessIdentity:
        identity = parse_identity(
            (read_fields(self.root / "jobs" / scheduler_job_id / kind) or {})["process"]
        )
        assert identity is not None
        return identity

    def status(self, scheduler_job_id: str) -> SchedulerStatus:
        return self.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks[None]

    def ended(self, scheduler_job_id: str) -> SchedulerStatus:
        until(lambda: self.status(scheduler_job_id).life is Life.ENDED)
        return self.status(scheduler_job_id)


def until(happened: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < limit
        time.sleep(0.02)


def says(space: DirectoryClaimSpace, text: str) -> Callable[[], bool]:
    log = space.log_path("stdout", None)
    return lambda: log.exists() and text in log.read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.scheduler.cancel(machine.ids)
    jobs = machine.scheduler.poll(machine.ids)
    for scheduler_job_id in jobs:
        until(
            lambda scheduler_job_id=scheduler_job_id: all(  # type: ignore[misc]
                status.life is Life.ENDED
                for status in machine.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks.values()
            )
        )


def test_a_script_that_ignores_the_limit_is_killed(machine: Machine) -> None:
    space, scheduler_job_id = machine.submit(
        "trap '' TERM\necho ready\nwhile :; do sleep 0.1; done\n", "--time=1s"
    )

    assert machine.status(scheduler_job_id).life is Life.RUNNING
    assert machine.ended(scheduler_job_id).verdict is JobState.TIMEOUT
    assert space.records([None])[None].exit is None


def test_a_script_may_tidy_up_when_its_time_is_over(machine: Machine) -> None:
    space, scheduler_job_id = machine.submit("trap 'exit 7' TERM\nwhile :; do sleep 0.1; done\n", "--time=1s")

    machine.status(scheduler_job_id)
    status = machine.ended(scheduler_job_id)

    assert (status.verdict, status.exit_code) == (JobState.TIMEOUT, 7)
    record = space.records([None])[None].exit
    assert record is not None
    assert (record.exit_code, record.signal) == (7, "TERM")


def test_a_task_whose_supervisor_was_killed_is_lost_and_nothing_of_it_runs_on(machine: Machine) -> None:
    space, scheduler_job_id = machine.submit("#!/bin/bash\nsleep 60 & echo $!\nwait\n")
    machine.status(scheduler_job_id)
    until(says(space, "\n"))
    group = machine.process(scheduler_job_id, "group")

    os.kill(machine.process(scheduler_job_id, "run").pid, signal.SIGKILL)
    status = machine.ended(scheduler_job_id)

    assert (status.verdict, status.exit_code) == (JobState.ERROR, None)
    assert "lost" in status.reason
    until(lambda: is_gone(group))
    until(lambda: not Path(f"/proc/{space.log_path('stdout', None).read_text().strip()}").exists())


def test_a_task_whose_whole_group_was_killed_leaves_only_the_schedulers_word(machine: Machine) -> None:
    space, scheduler_job_id = machine.submit("#!/bin/bash\necho ready\nsleep 60\n")
    machine.status(scheduler_job_id)
    until(says(space, "ready"))

    os.killpg(machine.process(scheduler_job_id, "group").pid, signal.SIGKILL)
    status = machine.ended(scheduler_job_id)

    assert (status.verdict, status.exit_code) == (JobState.ERROR, 137)
    assert space.records([None])[None].exit is None


def test_what_a_script_leaves_running_ends_with_it(machine: Machine) -> None:
    space, scheduler_job_id = machine.submit("#!/bin/bash\nsleep 60 & echo $!\n")

    assert machine.ended(scheduler_job_id).verdict is JobState.DONE
    pid = space.log_path("stdout", None).read_text().strip()
    until(lambda: not Path(f"/proc/{pid}").exists())


def test_nothing_lingers_once_the_queue_was_removed(machine: Machine) -> None:
    space, scheduler_job_id = machine.submit("#!/bin/bash\necho ready\nsleep 60\n")
    machine.status(scheduler_job_id)
    until(says(space, "ready"))
    supervisor = machine.process(scheduler_job_id, "run")

    shutil.rmtree(machine.root)
    os.kill(supervisor.pid, signal.SIGTERM)  # it would check by itself within half a minute

    until(lambda: is_gone(supervisor))


_AGENT = """
import sys
from pathlib import Path
from cloudq.adapters.schedulers.local.scheduler import EmbeddedScheduler
scheduler = EmbeddedScheduler(Path(sys.argv[1]), slots=3)
print(scheduler.poll([sys.argv[2]])[sys.argv[2]].tasks[None].life.value, flush=True)
sys.stdin.read()
"""


def test_jobs_outlive_the_agent_and_are_found_again(machine: Machine) -> None:
    space, scheduler_job_id = machine.submit("#!/bin/bash\nuntil [ -e go ]; do sleep 0.05; done\nexit 3\n")
    agent = subprocess.Popen(
        [sys.executable, "-c", _AGENT, machine.root, scheduler_job_id],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with agent:
        assert agent.stdout is not None
        assert agent.stdout.readline() == "running\n"
        os.killpg(agent.pid, signal.SIGKILL)

    assert machine.status(scheduler_job_id).life is Life.RUNNING
    assert machine.another().find(space.tag) == (scheduler_job_id,)
    (space.work_dir / "go").touch()
    assert machine.ended(scheduler_job_id).exit_code == 3


def test_a_limit_is_held_though_no_agent_looks(machine: Machine) -> None:
    _, scheduler_job_id = machine.submit("sleep 60\n", "--time=1s")
    machine.status(scheduler_job_id)

    until((machine.root / "jobs" / scheduler_job_id / "end").exists)

    assert machine.ended(scheduler_job_id).verdict is JobState.TIMEOUT


def test_two_agents_start_each_task_once(machine: Machine) -> None:
    body = "#!/bin/bash\necho $ARY_TASK_ID $ARY_TASK_FIRST $ARY_TASK_LAST $ARY_TASK_STEPSIZE >>../runs\n"
    _, scheduler_job_id = machine.submit(body, array="2-16:2")
    agents = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, machine.root, scheduler_job_id], stdout=subprocess.DEVNULL
        )
        for _ in range(3)
    ]
    for agent in agents:
        assert agent.wait(PATIENCE_S) == 0

    runs = (machine.workspace.root / "cache" / "runs").read_text().splitlines()
    assert sorted(runs) == sorted(f"{task} 2 16 2" for task in range(2, 17, 2))


_RACER = """
import sys, time
from pathlib import Path
from cloudq.adapters.schedulers.local.scheduler import EmbeddedScheduler
from cloudq.domain.jobs.outcome import Life
scheduler = EmbeddedScheduler(Path(sys.argv[1]), slots=3)
scheduler._queue.turn = lambda: __import__("contextlib").nullcontext(True)
while any(s.life is not Life.ENDED for s in scheduler.poll([sys.argv[2]])[sys.argv[2]].tasks.values()):
    time.sleep(0.005)
"""


def test_ids_are_given_once_among_racing_agents(machine: Machine) -> None:
    space, _ = machine.submit("true\n")
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _SUBMITTER, machine.root, space.work_dir, str(n)], stdout=subprocess.PIPE
        )
        for n in range(4)
    ]
    ids = [line for racer in racers for line in racer.communicate(timeout=PATIENCE_S)[0].split()]
    machine.ids += [each.decode() for each in ids]

    assert len(ids) == len(set(ids)) == 40


_SUBMITTER = """
import sys
from pathlib import Path
from cloudq.adapters.schedulers.local.scheduler import EmbeddedScheduler
from cloudq.domain.names import ClaimTag
from cloudq.ports.batch_scheduler import AttemptFiles, Submission
scheduler, work = EmbeddedScheduler(Path(sys.argv[1])), Path(sys.argv[2])
for n in range(10):
    tag = ClaimTag(f"{int(sys.argv[3]) * 100 + n:08x}", 7)
    files = AttemptFiles(*(work / f"{tag}.{kind}" for kind in ("out", "err", "status", "process")))
    print(scheduler.submit(scheduler.plan(Submission(tag, work / "run.sh", work, work)), files))
"""


def test_a_job_sees_a_clean_environment(machine: Machine) -> None:
    machine.scheduler = machine.another(
        AWS_SECRET_ACCESS_KEY="secret", VIRTUAL_ENV="/opt/venv", PATH=f"/opt/venv/bin:{os.environ['PATH']}"
    )
    space, scheduler_job_id = machine.submit("#!/bin/bash\nenv\ntrap -p\nulimit -c\n")

    machine.ended(scheduler_job_id)
    seen = space.log_path("stdout", None).read_text()

    assert f"CLOUDQ_LOCAL_JOB_ID={scheduler_job_id}\n" in seen
    for unwanted in ("AWS_", "venv", "ARY_TASK", "CLOUDQ_LOCAL_TASK_ID", "PYTHON", "''"):
        assert unwanted not in seen


def test_a_broken_pipe_ends_a_command_in_a_job_as_in_a_login(machine: Machine) -> None:
    space, scheduler_job_id = machine.submit("#!/bin/bash\nyes | head -1\necho ${PIPESTATUS[0]}\n")

    machine.ended(scheduler_job_id)

    assert space.log_path("stdout", None).read_text() == "y\n141\n"


def test_more_slots_than_there_are_are_refused(machine: Machine) -> None:
    with pytest.raises(SubmitRefused, match="this machine has 3"):
        machine.submit("#LOCAL --slots 4\ntrue\n")


def test_a_wide_job_is_not_overtaken_for_ever(machine: Machine) -> None:
    _, first = machine.submit("sleep 60\n")
    _, wide = machine.submit("#LOCAL --slots 3\ntrue\n")
    _, small = machine.submit("true\n")

    jobs = machine.scheduler.poll([first, wide, small])

    lives = [jobs[each].tasks[None].life for each in (first, wide, small)]
    assert lives == [Life.RUNNING, Life.QUEUED, Life.QUEUED]


def test_a_hundred_jobs_each_run_once(machine: Machine) -> None:
    spaces = [machine.submit("#!/bin/bash\necho once\necho done >result\n")[0] for _ in range(100)]

    def all_ended() -> bool:
        jobs = machine.scheduler.poll(machine.ids)
        return all(job.tasks[None].life is Life.ENDED for job in jobs.values())

    until(all_ended)

    assert {space.log_path("stdout", None).read_text() for space in spaces} == {"once\n"}
    assert all((space.work_dir / "result").exists() for space in spaces)
