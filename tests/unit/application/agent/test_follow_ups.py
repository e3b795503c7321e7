"""Jobs that a script submitted itself are named, and their directory is kept while they run."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cloudq.application.agent.run_agent_cycle import REMOVE_EXPIRED_EVERY_S
from cloudq.domain.errors import SchedulerUnavailable
from cloudq.domain.jobs.job_state import JobState
from tests.parts.scripted_scheduler import Script, ScriptedScheduler
from tests.parts.world import Agent, System, World

NAMED = (
    "your script submitted job 12, which cloudq does not follow: its output stays in the work directory "
    "and is not uploaded"
)


@pytest.fixture
def alpha(world: World) -> System:
    return world.system(behaviour=lambda *_: Script(duration_s=12))


@pytest.fixture
def agent(world: World, alpha: System) -> Agent:
    return world.agent(alpha, keep_s=0.0)


def ended(world: World, agent: Agent, alpha: System, *follow_ups: tuple[str, str]) -> str:
    """Return a final job whose script submitted jobs in directories relative to its work directory."""
    job_id = world.submit("alpha")
    agent.cycles(1)
    directory = alpha.home / "cache" / job_id
    alpha.scheduler.strangers.update(
        (scheduler_job_id, f"{directory}{below}") for scheduler_job_id, below in follow_ups
    )
    agent.cycles(6)
    assert world.job(job_id).state is JobState.DONE
    return job_id


def test_follow_up_of_a_script_is_named(world: World, agent: Agent, alpha: System) -> None:
    job_id = ended(world, agent, alpha, ("12", ""))

    assert world.job(job_id).remarks == (NAMED,)


def test_follow_ups_below_the_work_directory_are_named_together(
    world: World, agent: Agent, alpha: System
) -> None:
    job_id = ended(world, agent, alpha, ("12", "/a"), ("13", "/b/c"), ("14", "-another"))

    (remark,) = world.job(job_id).remarks
    assert remark.startswith("your script submitted jobs 12, 13, which cloudq does not follow: their output")


def test_nothing_is_said_where_the_scheduler_gives_no_answer(
    world: World, agent: Agent, alpha: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_answer(_scheduler: ScriptedScheduler) -> Mapping[str, str]:
        raise SchedulerUnavailable("no answer")

    monkeypatch.setattr(ScriptedScheduler, "work_dirs", no_answer)
    job_id = ended(world, agent, alpha, ("12", ""))

    assert world.job(job_id).remarks == ()


def test_one_question_serves_all_jobs_that_ended_together(
    world: World, agent: Agent, alpha: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    work_dirs = ScriptedScheduler.work_dirs

    def counted(scheduler: ScriptedScheduler) -> Mapping[str, str]:
        asked.append(1)
        return work_dirs(scheduler)

    monkeypatch.setattr(ScriptedScheduler, "work_dirs", counted)
    job_ids = [world.submit("alpha") for _ in range(5)]
    agent.cycles(8)

    assert all(world.job(job_id).state is JobState.DONE for job_id in job_ids)
    assert len(asked) == 1


def test_directory_stays_while_a_follow_up_runs_in_it(world: World, agent: Agent, alpha: System) -> None:
    job_id = ended(world, agent, alpha, ("12", ""))
    directory = alpha.home / "cache" / job_id

    world.clock.pass_by(REMOVE_EXPIRED_EVERY_S)
    agent.cycles(1)
    assert directory.is_dir()

    alpha.scheduler.strangers.clear()
    world.clock.pass_by(REMOVE_EXPIRED_EVERY_S)
    agent.cycles(1)
    assert not directory.exists()


def test_directory_stays_while_nobody_knows_whether_one_runs(
    world: World, agent: Agent, alpha: System
) -> None:
    job_id = ended(world, agent, alpha, ("12", ""))
    alpha.scheduler.unavailable = True

    world.clock.pass_by(REMOVE_EXPIRED_EVERY_S)
    agent.cycles(1)

    assert (alpha.home / "cache" / job_id).is_dir()
