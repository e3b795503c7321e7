"""Commands of PBS that fail, hang, report wrong data, come late, or are of another version."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.schedulers.commands import CommandTimes
from cloudq.adapters.schedulers.pbs.scheduler import PbsScheduler
from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.domain.errors import SchedulerUnavailable
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.names import ClaimTag
from tests.parts.fake_pbs.complex import FakePbs
from tests.parts.shell_claim import plan_of, prepare
from tests.parts.site import wait_until

ANOTHER = ClaimTag("ffffffff", 1)
TIMES = CommandTimes(poll_interval_s=10, query_limit_s=3, submit_wait_s=1, submit_limit_s=3)
_numbers = count(1)


class Rig:
    """The scheduler of one agent on a complex of stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.pbs = FakePbs(folder)
        self.workspace = DirectoryWorkspace(folder / "home", SystemClock(), RandomIds())
        self.warned: list[str] = []
        self.scheduler = self.another()

    def another(self, most_bytes: int = 1 << 20) -> PbsScheduler:
        environ = {**os.environ, **self.pbs.environment()}
        return PbsScheduler(TIMES, environ=environ, warn=self.warned.append, most_bytes=most_bytes)

    def space(self, body: str = "exit 0") -> DirectoryClaimSpace:
        space = self.workspace.space(ClaimTag(f"{next(_numbers):08x}", 1))
        return prepare(space, f"#!/bin/bash\n{body}\n", self.scheduler.dialect)

    def submit(self, space: DirectoryClaimSpace, *options: str, array: str | None = None) -> str:
        files = space.begin_attempt(len(space.attempts()) + 1, "qsub", 10)
        return self.scheduler.submit(plan_of(self.scheduler, space, options, array), files)

    def ended(self, scheduler_job_id: str) -> SchedulerStatus:
        wait_until(lambda: self.status(scheduler_job_id).life is Life.ENDED)
        return self.status(scheduler_job_id)

    def status(self, scheduler_job_id: str, task: int | None = None) -> SchedulerStatus:
        return self.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks[task]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.pbs.end_everything()


DOWN = {"do": "fail", "status": 255, "words": "qstat: cannot connect to server pbs1 (errno=15010)"}
DOWN_IN_JSON = DOWN | {"prints": '{\n"timestamp":1,\n"pbs_version":"22.05.11",\n"pbs_server":"pbs1"\n}\n'}
QUIETLY_DOWN = DOWN_IN_JSON | {"status": 0}


def test_nonsense_in_every_form_answers_nothing(rig: Rig) -> None:
    scheduler_job_id = rig.submit(rig.space("sleep 30"))
    rig.pbs.next_fails("qstat", *[{"do": "garbage"}] * 4)

    with pytest.raises(SchedulerUnavailable, match="something other than jobs"):
        rig.scheduler.poll([scheduler_job_id])


@pytest.mark.parametrize("fault", [DOWN_IN_JSON, QUIETLY_DOWN, {"do": "nothing"}, {"do": "garbage"}], ids=str)
def test_a_job_is_gone_only_if_qstat_says_so_by_name(rig: Rig, fault: dict[str, Any]) -> None:
    scheduler_job_id = rig.submit(rig.space("exit 4"))
    rig.ended(scheduler_job_id)
    successor = rig.another()
    rig.pbs.next_fails("qstat", {}, *[fault] * 3)  # only jobs in the queue can be looked up

    job = successor.poll([scheduler_job_id])[scheduler_job_id]
    assert job.tasks == {}
    assert job.unanswered.startswith(
        f"PBS does not report the state of job {scheduler_job_id}: qstat ended with"
    )

    rig.pbs.forget(scheduler_job_id)
    assert successor.poll([scheduler_job_id]) == {}


def test_an_empty_queue_that_is_none_ends_no_job(rig: Rig) -> None:
    scheduler_job_id = rig.submit(rig.space("sleep 30"))
    rig.pbs.next_fails("qstat", {"do": "nothing"})

    assert rig.status(scheduler_job_id).life is not Life.ENDED


def test_a_thousand_jobs_are_one_query(rig: Rig) -> None:
    rig.pbs.set(holds=True)
    ids = [rig.submit(rig.space()) for _ in range(3)]
    before = rig.pbs.calls("qstat")

    assert set(rig.scheduler.poll([*ids, *ids])) == set(ids)

    assert rig.pbs.calls("qstat") == before + 1
    assert rig.pbs.asked("qstat")[-1][:3] == ["-t", "-f", "-w"]


# Other versions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "version",
    [
        {"shows_arrays": True}, {"json": "none"}, {"json": "broken"}, {"json": "first"},
        {"lists_own": False}, {"lists_own": False, "json": "none"}, {"lists_own": False, "json": "broken"},
    ],
    ids=str,
)  # fmt: skip
def test_every_version_tells_the_same(rig: Rig, version: dict[str, Any]) -> None:
    rig.pbs.set(**version)
    space = rig.space("exit 4")
    ids = [rig.submit(space), rig.submit(rig.space()), rig.submit(rig.space("sleep 30"))]
    for scheduler_job_id in ids[:2]:
        rig.ended(scheduler_job_id)
    tasks = rig.submit(rig.space("exit $((PBS_ARRAY_INDEX == 2))"), array="1-3")
    wait_until(
        lambda: all(each.life is Life.ENDED for each in rig.scheduler.poll([tasks])[tasks].tasks.values())
    )

    jobs = rig.another().poll([*ids, tasks])

    assert [jobs[scheduler_job_id].tasks[None].exit_code for scheduler_job_id in ids] == [4, 0, None]
    assert {task: status.exit_code for task, status in jobs[tasks].tasks.items()} == {1: 0, 2: 1, 3: 0}
    assert rig.another().find(space.tag) == (ids[0],)


def test_options_that_qstat_has_not_are_tried_once(rig: Rig) -> None:
    rig.pbs.set(lists_own=False)
    scheduler_job_id = rig.submit(rig.space("sleep 30"))
    rig.scheduler.poll([scheduler_job_id])
    before = rig.pbs.calls("qstat")

    rig.scheduler.poll([scheduler_job_id])

    assert rig.pbs.calls("qstat") == before + 1


def test_without_history_a_job_that_ended_is_not_known(rig: Rig) -> None:
    rig.pbs.set(history=False)
    space, other = rig.space("exit 4"), rig.space("sleep 30")
    ended, running = rig.submit(space), rig.submit(other)
    wait_until(lambda: ended not in rig.scheduler.poll([ended, running]))

    assert set(rig.scheduler.poll([ended, running])) == {running}
    assert (rig.scheduler.find(space.tag), rig.scheduler.find(other.tag)) == ((), (running,))


def test_tasks_that_are_not_shown_run_as_long_as_their_array(rig: Rig) -> None:
    rig.pbs.set(shows_subjobs=False)
    scheduler_job_id = rig.submit(rig.space("sleep 30"), array="1-3%2")
    wait_until(
        lambda: any(
            each.life is Life.RUNNING
            for each in rig.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks.values()
        )
    )

    lives = {
        task: each.life
        for task, each in rig.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks.items()
    }
    assert lives[3] is Life.QUEUED
    assert Life.ENDED not in lives.values()
    rig.scheduler.cancel([scheduler_job_id])
    wait_until(
        lambda: all(
            each.life is Life.ENDED
            for each in rig.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks.values()
        )
    )
    ends = rig.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks.values()
    assert {(each.verdict, each.exit_code, each.never_ran) for each in ends} == {
        (JobState.DELETED, None, True)
    }


def test_an_array_whose_tasks_are_too_many_to_be_told_is_followed_as_a_whole(rig: Rig) -> None:
    scheduler_job_id = rig.submit(rig.space("exit $((PBS_ARRAY_INDEX == 2))"), array="1-12")
    plain = rig.submit(rig.space("exit 4"))
    rig.ended(plain)
    wait_until(lambda: len(rig.pbs.asked("qstat")) > 0 and not rig.another()._live("-f"))
    short_of_memory = rig.another(most_bytes=8_000)

    jobs = short_of_memory.poll([scheduler_job_id, plain])

    assert jobs[plain].tasks[None].exit_code == 4
    assert {(each.life, each.verdict) for each in jobs[scheduler_job_id].tasks.values()} == {
        (Life.ENDED, None)
    }
    assert set(jobs[scheduler_job_id].tasks) == set(range(1, 13))


def test_a_history_too_long_to_be_read_hides_no_job_that_runs(rig: Rig) -> None:
    rig.ended(rig.submit(rig.space(), "-v", f"A={'x' * 9000}"))
    space = rig.space("sleep 30")
    scheduler_job_id = rig.submit(space)

    assert rig.another(most_bytes=8_000).find(space.tag) == (scheduler_job_id,)


# States and evidence -----------------------------------------------------------------------------


def test_a_job_that_moved_to_another_server_is_as_it_was(rig: Rig) -> None:
    scheduler_job_id = rig.submit(rig.space("sleep 30"))
    wait_until(lambda: rig.status(scheduler_job_id).life is Life.RUNNING)
    rig.pbs.set(strange_state="M")

    assert rig.status(scheduler_job_id).life is Life.RUNNING
    assert rig.warned == []


@pytest.mark.parametrize("shows_arrays", [True, False])
def test_a_pending_array_shows_all_its_tasks(rig: Rig, shows_arrays: bool) -> None:
    rig.pbs.set(holds=True, shows_arrays=shows_arrays)
    scheduler_job_id = rig.submit(rig.space(), array="1-7:2%2")

    tasks = rig.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks

    assert {task: status.life for task, status in tasks.items()} == dict.fromkeys((1, 3, 5, 7), Life.QUEUED)


def test_an_array_of_one_task_shows_that_task(rig: Rig) -> None:
    scheduler_job_id = rig.submit(rig.space("exit $PBS_ARRAY_INDEX"), array="7")
    wait_until(lambda: rig.status(scheduler_job_id, 7).life is Life.ENDED)

    assert (scheduler_job_id, rig.status(scheduler_job_id, 7).exit_code) == ("1.pbs1", 7)


def test_an_end_that_was_seen_is_known_after_pbs_forgot_the_job(rig: Rig) -> None:
    space = rig.space("exit 4")
    scheduler_job_id = rig.submit(space)
    assert (rig.ended(scheduler_job_id).verdict, rig.status(scheduler_job_id).exit_code) == (
        JobState.ERROR,
        4,
    )
    rig.pbs.forget(scheduler_job_id)

    assert rig.status(scheduler_job_id).exit_code == 4
    assert rig.another().poll([scheduler_job_id]) == {}
    rig.scheduler.forget(ANOTHER, [scheduler_job_id])
    assert rig.status(scheduler_job_id).exit_code == 4
    rig.scheduler.forget(space.tag, [scheduler_job_id])
    assert rig.scheduler.poll([scheduler_job_id]) == {}


def test_an_end_that_was_seen_is_not_asked_for_again(rig: Rig) -> None:
    scheduler_job_id = rig.submit(rig.space("exit 4"))
    rig.ended(scheduler_job_id)
    before = rig.pbs.calls("qstat")

    rig.scheduler.poll([scheduler_job_id])

    assert rig.pbs.calls("qstat") == before + 1


def test_a_job_that_a_script_submits_is_not_taken_for_the_scripts_own(rig: Rig) -> None:
    # With -V the new job inherits the whole environment of its parent.
    space = rig.space(
        f'PATH={rig.pbs.home}/bin:$PATH; cp "$0" "$0.2"; echo "sleep 30" >"$0.2"; qsub -V -h "$0.2"'
    )
    scheduler_job_id = rig.submit(space)

    assert rig.ended(scheduler_job_id).verdict is JobState.DONE
    assert space.log_path("stdout", None).read_text() == "2.pbs1\n"
    assert rig.scheduler.find(space.tag) == (scheduler_job_id,)
    assert rig.scheduler.poll(["2.pbs1"])["2.pbs1"].tag is None


def test_an_id_that_was_given_anew_is_anothers_job(rig: Rig) -> None:
    first = rig.space("exit 0")
    scheduler_job_id = rig.submit(first)
    rig.ended(scheduler_job_id)
    rig.pbs.reset()
    second = rig.space("sleep 30")

    assert rig.submit(second) == scheduler_job_id
    assert rig.scheduler.poll([scheduler_job_id])[scheduler_job_id].tag == second.tag
    assert rig.scheduler.find(first.tag) == ()


def test_what_a_script_leaves_in_the_background_does_not_hold_its_end_up(rig: Rig) -> None:
    space = rig.space("echo out; sleep 600 & exit 3")
    begun = rig.workspace.clock.elapsed()

    assert rig.ended(rig.submit(space, "-o", "own.txt")).exit_code == 3
    assert rig.workspace.clock.elapsed() - begun < 30
    assert space.log_path("stdout", None).read_text() == "out\n"


# Jobs that cannot be looked up, and arrays that others delete ------------------------------------


def test_one_id_that_cannot_be_looked_up_silences_no_other(rig: Rig) -> None:
    ended, running = rig.submit(rig.space("exit 4")), rig.submit(rig.space("sleep 30"))
    rig.ended(ended)

    jobs = rig.another().poll(["12.pbs2", ended, "999.pbs1", running])

    assert jobs["12.pbs2"].tasks == {}
    assert "illegally formed job identifier: 12.pbs2" in jobs["12.pbs2"].unanswered
    assert jobs[ended].tasks[None].exit_code == 4
    assert jobs[running].tasks[None].life is not Life.ENDED
    assert set(jobs) == {"12.pbs2", ended, running}
    assert jobs[ended].unanswered == jobs[running].unanswered == ""


def test_a_server_that_hangs_is_asked_less_and_less_often(rig: Rig) -> None:
    silent = PbsScheduler(
        CommandTimes(query_limit_s=0.5),
        environ={**os.environ, **rig.pbs.environment()},
        warn=rig.warned.append,
    )
    asked = []
    for _ in range(6):
        before = rig.pbs.calls("qstat", "-x")
        rig.pbs.next_fails("qstat", {}, {"do": "hang", "seconds": 1.5})
        assert silent.poll(["12.pbs2"])["12.pbs2"].unanswered
        asked.append(rig.pbs.calls("qstat", "-x") - before)
        rig.pbs.set(faults={})

    assert asked == [1, 0, 1, 0, 0, 1]
    assert len(rig.warned) == 1


def test_tasks_that_ended_keep_their_ends_when_their_array_is_deleted(rig: Rig) -> None:
    body = "[ $PBS_ARRAY_INDEX = 1 ] && exit 0; [ $PBS_ARRAY_INDEX = 2 ] && exit 3; sleep 30"
    scheduler_job_id = rig.submit(rig.space(body), array="1-4%2")

    def ends() -> dict[int | None, object]:
        tasks = rig.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks
        return {task: (each.verdict, each.exit_code, each.never_ran) for task, each in tasks.items()}

    wait_until(lambda: [end for _, end in sorted(ends().items())][:2] == [
        (JobState.DONE, 0, False), (JobState.ERROR, 3, False),
    ])  # fmt: skip
    rig.pbs.delete(scheduler_job_id)
    wait_until(lambda: all(verdict for verdict, *_ in ends().values()))  # type: ignore[misc]

    assert ends()[1] == (JobState.DONE, 0, False)
    assert ends()[2] == (JobState.ERROR, 3, False)
    shown = rig.another().poll([scheduler_job_id])[scheduler_job_id].tasks
    assert {(shown[task].exit_code, shown[task].never_ran) for task in (1, 2)} == {(None, True)}


def test_a_waiting_task_that_is_deleted_never_gets_an_exit_code(rig: Rig) -> None:
    scheduler_job_id = rig.submit(rig.space("[ $PBS_ARRAY_INDEX = 1 ] && exit 3; sleep 30"), array="1-4%1")
    wait_until(lambda: rig.status(scheduler_job_id, 2).life is Life.RUNNING)

    rig.scheduler.cancel_tasks(scheduler_job_id, [4])

    wait_until(lambda: rig.status(scheduler_job_id, 4).life is Life.ENDED)
    task = rig.status(scheduler_job_id, 4)
    assert (task.verdict, task.exit_code, task.never_ran) == (JobState.DELETED, None, True)
    assert rig.status(scheduler_job_id, 3).life is Life.QUEUED


def test_a_job_of_an_older_agent_is_found_though_json_made_a_number_of_its_tag(rig: Rig) -> None:
    rig.pbs.set(lists_own=False)  # so that qstat is asked for JSON
    tag = ClaimTag("12345678", 10)
    rig.pbs.set(holds=True)
    space = rig.space()
    scheduler_job_id = rig.submit(space)
    with rig.pbs.state() as state:
        job = state["jobs"][scheduler_job_id.partition(".")[0]]
        job["variables"]["CLOUDQ_TAG"] = str(tag)
        job["arguments"] = job["arguments"].replace(f"t{space.tag}", str(tag))

    assert rig.scheduler.find(tag) == (scheduler_job_id,)
    assert rig.scheduler.find(ClaimTag("12345678", 1)) == ()


def test_a_users_variable_with_line_breaks_ends_no_job(rig: Rig) -> None:
    forged = "A=x\n    job_state = F\n    substate = 92\n    Exit_status = 0"
    scheduler_job_id = rig.submit(rig.space("sleep 30"), "-v", forged)

    for version in ({}, {"lists_own": False}, {"lists_own": False, "json": "none"}):
        rig.pbs.set(**version)
        assert rig.another().poll([scheduler_job_id])[scheduler_job_id].tasks[None].life is not Life.ENDED


def test_a_job_in_a_home_with_other_letters_runs(tmp_path: Path) -> None:
    folder = tmp_path / "hömé à moi"
    folder.mkdir()
    rig = Rig(folder)
    space = rig.space("echo out; exit 3")

    assert rig.ended(rig.submit(space)).exit_code == 3
    assert space.log_path("stdout", None).read_text() == "out\n"
    rig.pbs.end_everything()
