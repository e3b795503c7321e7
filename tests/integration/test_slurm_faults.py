"""Faults that a real Slurm cannot show and no other scheduler has: see also `test_scheduler_faults`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.process import Command, run_to_end
from cloudq.adapters.schedulers.commands import CommandTimes
from cloudq.adapters.schedulers.slurm.scheduler import SlurmScheduler
from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.domain.errors import (
    SchedulerUnavailable,
    SubmitRefused,
)
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.names import ClaimTag
from tests.parts.fake_slurm.cluster import FakeSlurm
from tests.parts.shell_claim import plan_of, prepare
from tests.parts.site import wait_until

TIMES = CommandTimes(poll_interval_s=10, query_limit_s=3, submit_wait_s=1, submit_limit_s=3)
_numbers = count(1)


class Rig:
    """The scheduler of one agent on a cluster of stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.slurm = FakeSlurm(folder)
        self.workspace = DirectoryWorkspace(folder / "home", SystemClock(), RandomIds())
        self.warned: list[str] = []
        self.scheduler = self.another()

    def another(self) -> SlurmScheduler:
        environ = {**os.environ, **self.slurm.environment()}
        return SlurmScheduler(TIMES, environ=environ, warn=self.warned.append)

    def space(self, body: str = "exit 0") -> DirectoryClaimSpace:
        space = self.workspace.space(ClaimTag(f"{next(_numbers):08x}", 1))
        return prepare(space, f"#!/bin/bash\n{body}\n", self.scheduler.dialect)

    def submit(self, space: DirectoryClaimSpace, *options: str, array: str | None = None) -> str:
        files = space.begin_attempt(len(space.attempts()) + 1, "sbatch", 10)
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
    rig.slurm.end_everything()


DOWN = {"do": "fail", "words": "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"}


def test_a_configuration_that_cannot_be_read_is_asked_for_again(rig: Rig) -> None:
    rig.slurm.next_fails("scontrol", DOWN, {"do": "garbage"})
    for _ in range(2):
        with pytest.raises(SchedulerUnavailable, match="scontrol"):
            rig.scheduler.poll(["1"])

    assert rig.scheduler.poll(["1"]) == {}
    rig.scheduler.poll(["1"])
    assert rig.slurm.calls("scontrol") == 3


def test_a_thousand_jobs_are_one_query(rig: Rig) -> None:
    rig.scheduler.poll([])
    before = rig.slurm.calls("squeue")

    rig.scheduler.poll([str(number) for number in range(1000)])

    assert rig.slurm.calls("squeue") == before + 1
    assert rig.slurm.calls("sacct") == 0


# Submissions -------------------------------------------------------------------------------------


def test_a_task_beyond_the_clusters_limit_is_refused_before_it_is_submitted(rig: Rig) -> None:
    rig.slurm.set(max_array_size=11)
    with pytest.raises(SubmitRefused, match="the highest task id here is 10"):
        rig.submit(rig.space(), array="1-11")
    assert rig.slurm.calls("sbatch") == 0

    assert rig.submit(rig.space(), array="1-10") == "1"


@pytest.mark.parametrize("printed", ["7;other", "7;other\n"])
def test_a_job_of_another_cluster_is_never_taken_for_a_local_one(rig: Rig, printed: str) -> None:
    rig.slurm.next_fails("sbatch", {"do": "fail", "prints": printed, "words": "", "status": 0})
    with pytest.raises(SubmitRefused, match=r"job 7 of cluster 'other'.*scancel --clusters=other 7"):
        rig.submit(rig.space())


def test_the_own_clusters_name_beside_an_id_makes_no_difference(rig: Rig) -> None:
    rig.slurm.next_fails("sbatch", {"do": "fail", "prints": "7;fake\n", "words": "", "status": 0})

    assert rig.submit(rig.space()) == "7"


# States and evidence -----------------------------------------------------------------------------


def test_a_waiting_task_that_is_gone_from_its_array_was_canceled(rig: Rig) -> None:
    rig.slurm.set(holds=True)
    scheduler_job_id = rig.submit(rig.space(), array="1-3")
    rig.scheduler.poll([scheduler_job_id])

    rig.slurm.cancel(f"{scheduler_job_id}_2")

    assert rig.status(scheduler_job_id, 2).verdict is JobState.DELETED
    assert rig.status(scheduler_job_id, 2).verdict is JobState.DELETED
    assert [rig.status(scheduler_job_id, task).life for task in (1, 3)] == [Life.QUEUED] * 2
    assert 2 not in rig.another().poll([scheduler_job_id])[scheduler_job_id].tasks


def test_a_waiting_task_that_is_gone_after_a_long_silence_may_have_run(rig: Rig) -> None:
    rig.slurm.set(holds=True, min_job_age=1)
    scheduler_job_id = rig.submit(rig.space(), array="1-3")
    rig.scheduler.poll([scheduler_job_id])
    polled_at = rig.workspace.clock.elapsed()

    rig.slurm.cancel(f"{scheduler_job_id}_2")
    wait_until(lambda: rig.workspace.clock.elapsed() - polled_at > 1)

    assert 2 not in rig.scheduler.poll([scheduler_job_id])[scheduler_job_id].tasks


def test_an_end_that_was_seen_is_known_after_slurm_forgot_the_job(rig: Rig) -> None:
    space = rig.space("exit 4")
    scheduler_job_id = rig.submit(space)
    assert (rig.ended(scheduler_job_id).verdict, rig.status(scheduler_job_id).exit_code) == (
        JobState.ERROR,
        4,
    )
    rig.slurm.forget(scheduler_job_id)

    assert rig.status(scheduler_job_id).exit_code == 4
    assert rig.another().poll([scheduler_job_id]) == {}
    rig.scheduler.forget(space.tag, [scheduler_job_id])
    assert rig.scheduler.poll([scheduler_job_id]) == {}


def test_the_exit_code_of_a_failed_job_is_asked_for_once(rig: Rig) -> None:
    scheduler_job_id = rig.submit(rig.space("exit 4"))
    rig.ended(scheduler_job_id)
    asked = rig.slurm.calls("scontrol")

    rig.scheduler.poll([scheduler_job_id])

    assert rig.slurm.calls("scontrol") == asked


def test_accounting_knows_what_slurm_forgot(rig: Rig) -> None:
    rig.slurm.set(accounting=True)
    space = rig.space("exit 4")
    scheduler_job_id = rig.submit(space)
    rig.ended(scheduler_job_id)
    rig.slurm.forget(scheduler_job_id)
    successor = rig.another()

    status = successor.poll([scheduler_job_id])[scheduler_job_id].tasks[None]

    assert (status.verdict, status.exit_code) == (JobState.ERROR, 4)
    assert successor.find(space.tag) == (scheduler_job_id,)
    rig.slurm.next_fails("sacct", DOWN)
    running = rig.submit(rig.space("sleep 30"))
    answer = successor.poll([scheduler_job_id, running])
    assert answer[scheduler_job_id].unanswered.startswith("sacct")
    assert not answer[running].unanswered
    assert successor.poll([scheduler_job_id])[scheduler_job_id].tasks[None] == status


def test_a_job_that_scontrol_does_not_tell_of_holds_up_no_other(rig: Rig) -> None:
    failed = [rig.submit(rig.space("exit 4")) for _ in range(3)]
    fine = rig.submit(rig.space("exit 0"))
    rig.slurm.wait_until(
        lambda jobs: all(_is_over(jobs[scheduler_job_id]) for scheduler_job_id in (*failed, fine))
    )
    rig.scheduler.poll([])
    rig.slurm.goes_away(DOWN, "scontrol")
    asked = rig.slurm.calls("scontrol")

    answer = rig.scheduler.poll([*failed, fine])

    assert answer[fine].tasks[None].verdict is JobState.DONE
    assert all("Unable to contact" in answer[scheduler_job_id].unanswered for scheduler_job_id in failed)
    assert rig.slurm.calls("scontrol") == asked + 1
    rig.slurm.comes_back()
    assert [rig.status(scheduler_job_id).exit_code for scheduler_job_id in failed] == [4, 4, 4]


def _is_over(job: dict[str, Any]) -> bool:
    return all(each["state"] in {"COMPLETED", "FAILED"} for each in job["tasks"].values())


def test_an_id_that_was_given_anew_is_anothers_job(rig: Rig) -> None:
    first = rig.space("exit 0")
    scheduler_job_id = rig.submit(first)
    rig.ended(scheduler_job_id)
    rig.slurm.reset()
    second = rig.space("sleep 30")

    assert rig.submit(second) == scheduler_job_id
    assert rig.scheduler.poll([scheduler_job_id])[scheduler_job_id].tag == second.tag
    assert rig.scheduler.find(first.tag) == ()


def test_an_id_that_a_job_of_the_users_own_has_now_is_not_known(rig: Rig, tmp_path: Path) -> None:
    scheduler_job_id = rig.submit(rig.space("sleep 30"))
    rig.scheduler.poll([scheduler_job_id])
    rig.slurm.end_everything()
    rig.slurm.reset()
    own = tmp_path / "own.sh"
    own.write_text("#!/bin/bash\nsleep 30\n")
    argv = ("sbatch", "--parsable", "--output=/dev/null", str(own))
    done = run_to_end(Command(argv, tmp_path, {**os.environ, **rig.slurm.environment()}), 10)

    assert done.stdout.strip() == scheduler_job_id
    assert rig.scheduler.poll([scheduler_job_id]) == {}


def test_what_a_script_leaves_in_the_background_does_not_hold_its_end_up(rig: Rig) -> None:
    space = rig.space("echo out; sleep 600 & exit 3")
    begun = rig.workspace.clock.elapsed()

    assert rig.ended(rig.submit(space, "-o", "own.txt")).exit_code == 3
    assert rig.workspace.clock.elapsed() - begun < 30
    assert space.log_path("stdout", None).read_text() == "out\n"


def test_slurms_memory_bounds_the_time_between_two_queries(rig: Rig) -> None:
    rig.slurm.set(min_job_age=6)
    assert rig.scheduler.poll_interval_s == 10

    rig.scheduler.poll([])

    assert rig.scheduler.poll_interval_s == 3
