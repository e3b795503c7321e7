"""The faults that the scripted scheduler can play."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.domain.errors import SchedulerUnavailable, SubmitDeferred, SubmitRefused, SubmitUncertain
from cloudq.domain.jobs.job_shell import NOT_ITS_TURN
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.names import ClaimTag
from cloudq.testing.fake_clock import FakeClock
from tests.parts.scripted_scheduler import Script, ScriptedScheduler, SubmitFault
from tests.parts.serial_ids import SerialIds
from tests.parts.shell_claim import plan_of, prepare


class World:
    """A scripted scheduler and the directories of one claim."""

    def __init__(
        self, folder: Path, script: Script | None = None, forget_after_s: float | None = None
    ) -> None:
        self.clock = FakeClock()
        self.scheduler = ScriptedScheduler(
            self.clock, lambda _submission, _task: script or Script(10), forget_after_s=forget_after_s
        )
        workspace = DirectoryWorkspace(folder, self.clock, SerialIds())
        self.space: DirectoryClaimSpace = workspace.space(ClaimTag("3f7e7681", 1))
        prepare(self.space, "#!/bin/bash\n", self.scheduler.dialect)

    def submit(self, *faults: SubmitFault) -> str:
        self.scheduler.submit_faults.extend(faults)
        number = len(self.space.attempts()) + 1
        files = self.space.begin_attempt(number, "scripted", 10)
        return self.scheduler.submit(plan_of(self.scheduler, self.space, attempt=number), files)

    def status(self, scheduler_job_id: str = "1") -> SchedulerStatus:
        return self.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks[None]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_time_is_the_clocks(world: World) -> None:
    world.submit()
    world.clock.pass_by(9.9)
    assert world.status().life is Life.RUNNING
    assert world.scheduler.next_event() == 10

    world.clock.pass_by(0.1)
    world.scheduler.advance()
    assert world.space.records([None])[None].exit is not None
    assert world.status().verdict is JobState.DONE


def test_a_question_can_fail(world: World) -> None:
    world.submit()
    world.scheduler.unavailable = True

    with pytest.raises(SchedulerUnavailable):
        world.status()


@pytest.mark.parametrize(
    ("fault", "error", "known"),
    [
        (SubmitFault.REFUSED, SubmitRefused, ()),
        (SubmitFault.DEFERRED, SubmitDeferred, ()),
        (SubmitFault.LOST, SubmitUncertain, ()),
        (SubmitFault.ANSWER_LOST, SubmitUncertain, ("1",)),
        (SubmitFault.LATE, SubmitUncertain, ()),
    ],
)
def test_a_submission_can_go_wrong(
    world: World, fault: SubmitFault, error: type[Exception], known: tuple[str, ...]
) -> None:
    with pytest.raises(error):
        world.submit(fault)

    assert world.scheduler.find(world.space.tag) == known


@pytest.mark.parametrize("fault", [(), (SubmitFault.REFUSED,)])
def test_a_submission_whose_files_were_removed_is_not_made(
    world: World, fault: tuple[SubmitFault, ...]
) -> None:
    plan, files = plan_of(world.scheduler, world.space), world.space.attempt_files(1)
    world.scheduler.submit_faults.extend(fault)
    world.space.remove()

    with pytest.raises(SubmitDeferred):
        world.scheduler.submit(plan, files)

    assert world.scheduler.find(world.space.tag) == ()


def test_a_late_submission_does_not_start_the_script_a_second_time(world: World) -> None:
    with pytest.raises(SubmitUncertain):
        world.submit(SubmitFault.LATE)
    world.submit()
    world.clock.pass_by(5)

    assert world.scheduler.find(world.space.tag) == ("1", "2")
    assert world.scheduler.submitted(world.space.attempt_files(1)) == "2"
    world.clock.pass_by(20)
    world.scheduler.advance()
    assert [start.scheduler_job_id for start in world.scheduler.starts] == ["1"]


def test_a_late_submission_that_gets_the_same_id_after_a_reset_does_not_start_the_script(
    world: World,
) -> None:
    with pytest.raises(SubmitUncertain):
        world.submit(SubmitFault.LATE)
    world.submit()
    world.scheduler.reset()
    world.clock.pass_by(5)

    assert world.scheduler.find(world.space.tag) == ("1",)
    assert world.status().exit_code == NOT_ITS_TURN
    assert len(world.scheduler.starts) == 1


def test_a_requeued_job_starts_again_and_its_first_end_is_void(world: World) -> None:
    world.submit()
    world.clock.pass_by(6)
    world.scheduler.requeue("1")
    world.clock.pass_by(6)

    assert world.status().life is Life.RUNNING
    world.clock.pass_by(4)
    assert world.status().verdict is JobState.DONE
    assert len(world.scheduler.starts) == 2


def test_a_preempted_job_ends_in_error(world: World) -> None:
    world.submit()
    world.scheduler.preempt("1")

    assert (world.status().verdict, world.status().reason) == (JobState.ERROR, "preempted")
    record = world.space.records([None])[None].exit
    assert record is not None
    assert record.signal == "TERM"


def test_finished_jobs_are_forgotten_after_a_while(tmp_path: Path) -> None:
    world = World(tmp_path, Script(1), forget_after_s=300)
    world.submit()
    world.clock.pass_by(1)
    assert world.status().life is Life.ENDED

    world.clock.pass_by(300)
    assert world.scheduler.poll(["1"]) == {}


def test_a_script_may_die_without_a_record(tmp_path: Path) -> None:
    world = World(tmp_path, Script(1, exit_code=137, dies_without_record=True))
    world.submit()
    world.clock.pass_by(1)

    assert world.status().exit_code == 137
    assert world.space.records([None])[None].exit is None


def test_a_job_whose_files_were_removed_starts_nothing(world: World) -> None:
    world.scheduler.holds_queue = True
    world.submit()
    world.space.remove()
    world.scheduler.holds_queue = False

    assert (world.status().verdict, world.status().exit_code) == (JobState.ERROR, 127)
    assert world.scheduler.starts == []
