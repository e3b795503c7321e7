"""A final job is rerun as a new job: all of it, or the tasks that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.adapters.archives import ZipArchives
from cloudq.domain.errors import InvalidInput, JobNotFound, JobStateConflict
from cloudq.domain.jobs.dependency import Holds
from cloudq.domain.jobs.job_state import JobState
from tests.parts.scripted_scheduler import Script
from tests.parts.world import World


def fails_once(world: World, *failing: int | None) -> object:
    """A system where the scripts of the first job, or these tasks of it, fail."""
    first: list[str] = []

    def behaviour(submission: object, task: int | None) -> Script:
        job_id = submission.tag.job_id  # type: ignore[attr-defined]
        first.append(job_id)
        return Script(exit_code=4 if job_id == first[0] and task in failing else 0)

    return world.system(behaviour=behaviour)


def test_an_ended_job_is_run_again_with_all_that_it_was_given(world: World, tmp_path: Path) -> None:
    agent = world.agent(fails_once(world, None))  # type: ignore[arg-type]
    data = tmp_path / "numbers.txt"
    data.write_text("1 2 3")
    ZipArchives().pack([data], tmp_path / "input.zip")
    first = world.submit("alpha", submit_opt="--time 60s", input_archive=tmp_path / "input.zip")
    agent.until_final(first)

    again = world.client().rerun(first, tmp_path).job
    agent.until_final(again.uuid)

    before, after = world.job(first), world.job(again.uuid)
    assert (before.state, after.state) == (JobState.ERROR, JobState.DONE)
    assert (after.name, after.submit_to, after.submit_opt, after.has_input) == (
        before.name, "alpha", "--time 60s", True,
    )  # fmt: skip
    assert world.body(f"jobs/{again.uuid}/input.zip") == world.body(f"jobs/{first}/input.zip")


def test_a_job_that_several_systems_were_invited_to_is_offered_to_them_again(
    world: World, tmp_path: Path
) -> None:
    agent = world.agent(fails_once(world, None))  # type: ignore[arg-type]
    first = world.submit("alpha", "beta")
    agent.until_final(first)

    again = world.client().rerun(first, tmp_path, force=True).job

    assert again.invited == ("alpha", "beta")


def test_a_rerun_goes_to_no_system_that_its_owner_excluded(world: World, tmp_path: Path) -> None:
    agent = world.agent(fails_once(world, None))  # type: ignore[arg-type]
    first = world.submit("alpha", "beta")
    agent.until_final(first)
    rerun = world.client().rerun

    assert rerun(first, tmp_path, without=["alpha"], force=True).job.invited == ("beta",)
    assert rerun(first, tmp_path, only=["alpha", "gamma"], force=True).job.invited == ("alpha", "gamma")
    with pytest.raises(InvalidInput, match="no system is left"):
        rerun(first, tmp_path, without=["alpha", "beta"], force=True)


def test_only_the_tasks_that_failed_are_run_again(world: World, tmp_path: Path) -> None:
    agent = world.agent(fails_once(world, 3, 7, 8))  # type: ignore[arg-type]
    first = world.submit("alpha", array="1-9%2")
    agent.until_final(first)

    again = world.client().rerun(first, tmp_path, only_failed=True).job
    agent.until_final(again.uuid)

    job = world.job(again.uuid)
    assert (str(job.array_tid), job.state) == ("3,7-8:1%2", JobState.DONE)
    assert sorted(job.tasks.as_dict()) == [3, 7, 8]


def test_a_failed_job_without_tasks_is_all_that_failed(world: World, tmp_path: Path) -> None:
    agent = world.agent(fails_once(world, None))  # type: ignore[arg-type]
    first = world.submit("alpha")
    agent.until_final(first)

    again = world.client().rerun(first, tmp_path, only_failed=True).job

    assert again.array_tid is None


@pytest.mark.parametrize("array", [None, "1-3"])
def test_where_nothing_failed_there_is_nothing_to_run_again(
    world: World, tmp_path: Path, array: str | None
) -> None:
    agent = world.agent(world.system())
    first = world.submit("alpha", array=array)
    agent.until_final(first)

    with pytest.raises(JobStateConflict, match="No part of job"):
        world.client().rerun(first, tmp_path, only_failed=True)


def test_a_job_that_has_not_ended_or_never_was_is_not_run_again(world: World, tmp_path: Path) -> None:
    job_id = world.submit("alpha")
    rerun = world.client().rerun

    with pytest.raises(JobStateConflict, match="has not ended yet: INIT"):
        rerun(job_id, tmp_path)
    with pytest.raises(JobNotFound):
        rerun("00000000", tmp_path)


def test_bad_ids_to_wait_for_are_named_before_a_rerun(world: World, tmp_path: Path) -> None:
    agent = world.agent(world.system())
    first = world.submit("alpha")
    agent.until_final(first)
    before = world.stored()

    with pytest.raises(InvalidInput) as caught:
        world.client().rerun(first, tmp_path, holds=Holds(("a",), ("b",)))
    assert [problem.partition(" is ")[0] for problem in caught.value.problems] == [
        "hold_jid: 'a'",
        "hold_ok_jid: 'b'",
    ]
    assert world.stored() == before


def test_a_rerun_may_have_another_target_and_wait_for_other_jobs(world: World, tmp_path: Path) -> None:
    agent = world.agent(world.system())
    first = world.submit("alpha")
    agent.until_final(first)
    rerun = world.client().rerun(first, tmp_path, submit_to="Beta", holds=Holds((first,)), force=True)

    assert (rerun.job.submit_to, rerun.job.invited, rerun.job.hold_jid) == ("beta", ("beta",), (first,))
    assert rerun.warnings == (
        "Beta is taken as beta: names of systems are lower case.",
        "No agent ever reported as beta: the job waits until one does.",
    )
