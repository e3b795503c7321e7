"""Faults that a real Grid Engine cannot show and no other scheduler has: see also `test_scheduler_faults`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.schedulers.grid_engine.scheduler import GridEngineScheduler, GridEngineTimes
from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.domain.errors import (
    SchedulerUnavailable,
)
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.names import ClaimTag
from cloudq.ports.batch_scheduler import LocalJob
from cloudq.testing.fake_clock import FakeClock
from tests.parts.fake_grid_engine.cell import FakeGridEngine
from tests.parts.shell_claim import plan_of, prepare
from tests.parts.site import wait_until

ANOTHER = ClaimTag("ffffffff", 1)
WAIT_S = 5.0
TIMES = GridEngineTimes(query_limit_s=3, submit_wait_s=1, submit_limit_s=3, accounting_wait_s=WAIT_S)
_numbers = count(1)


class Rig:
    """The scheduler of one agent in a cell of stand-ins; its clock advances only when a test advances it."""

    def __init__(self, folder: Path) -> None:
        self.cell = FakeGridEngine(folder)
        self.workspace = DirectoryWorkspace(folder / "home", SystemClock(), RandomIds())
        self.warned: list[str] = []
        self.clock = FakeClock()
        self.scheduler = self.another()

    def another(self) -> GridEngineScheduler:
        environ = {**os.environ, **self.cell.environment()}
        return GridEngineScheduler(
            TIMES, elapsed=self.clock.elapsed, environ=environ, warn=self.warned.append
        )

    def space(self, body: str = "exit 0") -> DirectoryClaimSpace:
        space = self.workspace.space(ClaimTag(f"{next(_numbers):08x}", 1))
        return prepare(space, f"#!/bin/bash\n{body}\n", self.scheduler.dialect)

    def submit(self, space: DirectoryClaimSpace, *options: str, array: str | None = None) -> str:
        files = space.begin_attempt(len(space.attempts()) + 1, "qsub", 10)
        return self.scheduler.submit(plan_of(self.scheduler, space, options, array), files)

    def poll(self, scheduler_job_id: str) -> LocalJob | None:
        return self.scheduler.poll([scheduler_job_id]).get(scheduler_job_id)

    def status(self, scheduler_job_id: str, task: int | None = None) -> SchedulerStatus:
        return self.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks[task]

    def shows(self, scheduler_job_id: str, life: Life) -> None:
        wait_until(lambda: self.status(scheduler_job_id).life is life)

    def is_gone(self, scheduler_job_id: str) -> None:
        """Wait until the job has left the queue, and make sure that this agent has noticed."""
        self.cell.wait_until_gone(scheduler_job_id)
        assert self.poll(scheduler_job_id) is None


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.cell.end_everything()


DOWN = {
    "do": "fail",
    "words": 'error: unable to send message to qmaster using port 6444 on host "m": got send error',
}


# Queries -----------------------------------------------------------------------------------------


def test_a_thousand_jobs_are_one_query(rig: Rig) -> None:
    rig.scheduler.poll([])
    before = rig.cell.calls("qstat")

    rig.scheduler.poll([str(number) for number in range(1000)])

    assert rig.cell.calls("qstat") == before + 1
    assert rig.cell.calls("qacct") <= 3


def test_a_held_job_waits_and_says_so(rig: Rig) -> None:
    scheduler_job_id = rig.submit(rig.space(), "-h")

    assert rig.status(scheduler_job_id) == SchedulerStatus(Life.QUEUED, reason="held (hqw)")


def test_whose_a_job_is_is_asked_once(rig: Rig) -> None:
    space = rig.space("sleep 30")
    scheduler_job_id = rig.submit(space)
    rig.poll(scheduler_job_id)
    assert rig.cell.calls("qstat", "-j") == 0
    successor = rig.another()

    assert {successor.poll([scheduler_job_id])[scheduler_job_id].tag for _ in range(3)} == {space.tag}
    assert successor.find(space.tag) == (scheduler_job_id,)
    assert rig.cell.calls("qstat", "-j") == 1


def test_an_id_that_was_given_anew_is_anothers_job(rig: Rig) -> None:
    rig.cell.set(holds=True)
    first = rig.space()
    scheduler_job_id = rig.submit(first)
    rig.poll(scheduler_job_id)
    rig.cell.reset()
    rig.clock.sleep(WAIT_S)
    rig.poll(scheduler_job_id)
    second = rig.space("sleep 30")
    agent = rig.another()
    agent.submit(plan_of(agent, second), second.begin_attempt(1, "qsub", 10))

    for scheduler in (rig.scheduler, agent, rig.another()):
        assert scheduler.poll([scheduler_job_id])[scheduler_job_id].tag == second.tag
        assert scheduler.find(first.tag) == ()


# Submissions -------------------------------------------------------------------------------------


def test_logs_are_complete_where_their_path_would_mean_something_to_qsub(rig: Rig, tmp_path: Path) -> None:
    rig.workspace = DirectoryWorkspace(tmp_path / "a $HOME, b:c", SystemClock(), RandomIds())
    space = rig.space("pwd; echo err >&2")
    rig.is_gone(rig.submit(space))

    logs = [space.log_path(stream, None).read_text() for stream in ("stdout", "stderr")]
    assert logs == [f"{space.work_dir}\n", "err\n"]


# Jobs that left the queue ------------------------------------------------------------------------


def test_a_job_that_is_not_listed_is_missing_until_accounting_tells(rig: Rig) -> None:
    space = rig.space("exit 4")
    scheduler_job_id = rig.submit(space)
    rig.is_gone(scheduler_job_id)
    assert rig.cell.calls("qacct") == 0

    rig.clock.sleep(WAIT_S)

    assert (rig.status(scheduler_job_id).verdict, rig.status(scheduler_job_id).exit_code) == (
        JobState.ERROR,
        4,
    )
    rig.clock.sleep(10_000)
    assert rig.status(scheduler_job_id).exit_code == 4
    assert rig.cell.calls("qacct") == 1
    rig.scheduler.forget(space.tag, [scheduler_job_id])


def test_an_agent_that_comes_later_asks_at_once(rig: Rig) -> None:
    scheduler_job_id = rig.submit(rig.space("sleep 30"))
    rig.shows(scheduler_job_id, Life.RUNNING)
    rig.cell.qdel(scheduler_job_id)
    rig.cell.wait_until_gone(scheduler_job_id)

    successor = rig.another()

    for _ in range(3):
        status = successor.poll([scheduler_job_id, "999"])[scheduler_job_id].tasks[None]
        assert (status.verdict, status.exit_code) == (JobState.DELETED, 137)
    assert (rig.cell.calls("qacct", scheduler_job_id), rig.cell.calls("qacct", "999")) == (1, 1)


def test_accounts_that_come_late_are_asked_for_further_and_further_apart(rig: Rig) -> None:
    scheduler_job_id = rig.submit(rig.space("sleep 30"), "-l", "h_rt=1")
    rig.shows(scheduler_job_id, Life.RUNNING)
    rig.cell.set(accounting_delay=1_000_000)
    rig.is_gone(scheduler_job_id)

    asked = []
    for _ in range(24):
        rig.clock.sleep(5)
        assert rig.poll(scheduler_job_id) is None
        asked.append(rig.cell.calls("qacct"))
    assert [5 * (asked.index(number) + 1) for number in (1, 2, 3)] == [5, 20, 80]
    assert asked[-1] == 3

    with rig.cell.state() as state:
        state["accounts"][0]["visible_at"] = 0
    rig.clock.sleep(300)
    assert rig.status(scheduler_job_id).verdict is JobState.TIMEOUT


@pytest.mark.parametrize("fault", [DOWN, {"do": "garbage"}, {"do": "hang", "seconds": 30}], ids=str)
def test_an_accounting_that_cannot_be_read_answers_nothing_and_is_left_alone_for_a_while(
    rig: Rig, fault: dict[str, object]
) -> None:
    scheduler_job_id = rig.submit(rig.space("exit 0"))
    rig.is_gone(scheduler_job_id)
    rig.clock.sleep(WAIT_S)
    rig.cell.next_fails("qacct", fault)

    with pytest.raises(SchedulerUnavailable, match="qacct"):
        rig.poll(scheduler_job_id)

    assert rig.poll(scheduler_job_id) is None
    assert rig.cell.calls("qacct") == 1
    rig.clock.sleep(60)
    assert rig.status(scheduler_job_id).verdict is JobState.DONE


def test_where_there_is_no_accounting_jobs_are_missing_and_it_is_told_once(rig: Rig) -> None:
    rig.cell.set(accounting=False)
    ids = [rig.submit(rig.space()) for _ in range(2)]
    for scheduler_job_id in ids:
        rig.cell.wait_until_gone(scheduler_job_id)
    rig.clock.sleep(WAIT_S)

    assert rig.scheduler.poll(ids) == {}
    assert len(rig.warned) == 1
    assert "no accounting" in rig.warned[0]


def test_a_job_that_was_deleted_while_it_waited_never_ran(rig: Rig) -> None:
    rig.cell.set(holds=True)
    scheduler_job_id, array = rig.submit(rig.space()), rig.submit(rig.space(), array="1-2")
    spaces = [rig.space(), rig.space()]
    before_a_look = [rig.submit(space) for space in spaces]
    rig.scheduler.poll([scheduler_job_id, array])
    for each in (scheduler_job_id, array, *before_a_look):
        rig.cell.qdel(each)
        rig.cell.wait_until_gone(each)
    rig.scheduler.poll([scheduler_job_id, array])
    rig.clock.sleep(WAIT_S)

    assert rig.status(scheduler_job_id).never_ran
    assert rig.status(scheduler_job_id).verdict is JobState.DELETED
    assert rig.status(array, 1) == rig.status(array, 2) == rig.status(before_a_look[0])
    successor = rig.another()
    assert successor.submitted(spaces[1].attempt_files(1)) == before_a_look[1]
    assert successor.poll([before_a_look[1]])[before_a_look[1]].tasks[None].never_ran


def test_a_job_that_was_seen_to_run_is_not_said_to_have_never_run_whatever_accounting_lost(rig: Rig) -> None:
    scheduler_job_id = rig.submit(rig.space("sleep 30"))
    rig.shows(scheduler_job_id, Life.RUNNING)
    rig.cell.qdel(scheduler_job_id)
    rig.is_gone(scheduler_job_id)
    with rig.cell.state() as state:
        state["accounts"].clear()
    rig.clock.sleep(WAIT_S)

    assert rig.poll(scheduler_job_id) is None


def test_an_id_that_was_never_met_is_not_called_deleted(rig: Rig) -> None:
    assert rig.scheduler.poll(["999"]) == {}
    assert rig.cell.calls("qacct") == 1


def test_tasks_that_ran_are_told_from_tasks_that_never_did(rig: Rig) -> None:
    scheduler_job_id = rig.submit(rig.space("[ $SGE_TASK_ID = 1 ] || sleep 30"), array="1-4%2")
    wait_until(lambda: {2, 3} == {
        task for task, status in rig.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks.items()
        if status.life is Life.RUNNING
    })  # fmt: skip
    rig.cell.qdel(scheduler_job_id)
    rig.is_gone(scheduler_job_id)
    rig.clock.sleep(WAIT_S)

    tasks = rig.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks

    assert {task: (status.verdict, status.never_ran) for task, status in tasks.items()} == {
        1: (JobState.DONE, False), 2: (JobState.DELETED, False), 3: (JobState.DELETED, False),
        4: (JobState.DELETED, True),
    }  # fmt: skip


def test_an_older_job_of_the_same_id_is_not_this_ones_end_where_accounting_tells(rig: Rig) -> None:
    rig.cell.set(keeps_commands=True)
    scheduler_job_id = rig.submit(rig.space("exit 0"))
    rig.cell.wait_until_gone(scheduler_job_id)
    rig.cell.reset()
    rig.cell.set(holds=True)
    assert rig.submit(rig.space()) == scheduler_job_id
    rig.poll(scheduler_job_id)
    rig.cell.qdel(scheduler_job_id)
    rig.is_gone(scheduler_job_id)
    rig.clock.sleep(WAIT_S)

    assert rig.status(scheduler_job_id).never_ran


# Errors, requeues, deletions ---------------------------------------------------------------------


def test_a_job_in_an_error_state_tells_why_and_is_deleted_once_its_end_is_recorded(rig: Rig) -> None:
    space = rig.space("exit 100")
    scheduler_job_id = rig.submit(space)
    rig.shows(scheduler_job_id, Life.ENDED)
    status = rig.status(scheduler_job_id)

    assert (status.verdict, status.reason) == (JobState.ERROR, "Eqw: exit_status of job start = 100")
    assert rig.cell.calls("qdel") == 0
    rig.cell.next_fails("qstat", {}, DOWN)
    with pytest.raises(SchedulerUnavailable):
        rig.status(scheduler_job_id)

    rig.scheduler.forget(ANOTHER, [scheduler_job_id])
    assert rig.cell.calls("qdel") == 0
    rig.scheduler.forget(space.tag, [scheduler_job_id])

    rig.cell.wait_until_gone(scheduler_job_id)


def test_a_single_task_may_be_stuck_while_others_run(rig: Rig) -> None:
    scheduler_job_id = rig.submit(rig.space("[ $SGE_TASK_ID = 1 ] && exit 100; sleep 30"), array="1-2")
    wait_until(lambda: rig.status(scheduler_job_id, 1).life is Life.ENDED)

    assert rig.status(scheduler_job_id, 2).life is Life.RUNNING


def test_a_job_that_asks_to_run_again_does_and_ends_once(rig: Rig) -> None:
    space = rig.space("[ -e again ] && exit 6; touch again; exit 99")
    scheduler_job_id = rig.submit(space)
    rig.is_gone(scheduler_job_id)
    rig.clock.sleep(WAIT_S)

    assert (rig.status(scheduler_job_id).verdict, rig.status(scheduler_job_id).exit_code) == (
        JobState.ERROR,
        6,
    )
    record = space.records([None])[None].exit
    assert record is not None
    assert record.exit_code == 6
