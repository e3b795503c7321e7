"""A site that clears its scratch removes the files of a running job (protocol 5.7)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cloudq.application.agent.held_job import HandOverResult, HandOverWork
from cloudq.application.agent.watch_files import TOUCH_EVERY_S
from cloudq.application.shared.cancel_job import CancelResult
from cloudq.domain.jobs.job_state import JobState
from tests.parts.scripted_scheduler import Script, SubmitFault, submitting_nothing
from tests.parts.trap import Killed, Trap
from tests.parts.world import Agent, System, World

KINDS = ["control directory", "whole cache"]


def running(world: World, duration_s: float = 900.0, code: int = 0) -> tuple[str, System, Agent]:
    alpha = world.system("alpha", behaviour=lambda *_: Script(duration_s, code))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.until(lambda: world.job(job_id).state is JobState.RUN)
    return job_id, alpha, agent


def purge(alpha: System, job_id: str, kind: str) -> None:
    cache = alpha.home / "cache"
    shutil.rmtree(cache if kind == "whole cache" else cache / ".cloudq" / f"{job_id}.1")


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_job_whose_files_were_removed_is_followed_to_its_end(
    world: World, kind: str, is_restarted: bool
) -> None:
    job_id, alpha, agent = running(world)
    purge(alpha, job_id, kind)
    if is_restarted:
        agent.die()
        agent = world.agent(alpha)

    agent.cycles(60)
    assert world.job(job_id).state is JobState.RUN
    agent.until_final(job_id)

    job = world.job(job_id)
    assert "were removed while it ran" in job.changes[-1].reason
    assert len(alpha.scheduler.starts) == 1
    if kind == "whole cache":
        assert job.state is JobState.ERROR
        assert str(alpha.home / "cache" / job_id) in job.error_msg
    else:
        assert (job.state, job.exit_code) == (JobState.DONE, 0)
    agent.cycles(5)
    assert world.stored("queue/") == []


def test_outputs_that_are_still_there_come_back(world: World) -> None:
    job_id, alpha, agent = running(world, code=3)
    (alpha.home / "cache" / job_id / "half").write_text("of the results")
    purge(alpha, job_id, "control directory")

    agent.until_final(job_id)

    job = world.job(job_id)
    assert (job.state, job.exit_code) == (JobState.ERROR, 3)
    assert job.size_output


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_job_whose_files_were_removed_can_be_canceled(world: World, kind: str, is_restarted: bool) -> None:
    job_id, alpha, agent = running(world, 30_000)
    purge(alpha, job_id, kind)
    if is_restarted:
        agent.die()
        agent = world.agent(alpha)
        agent.cycles(100)

    assert world.client().cancel(job_id) is CancelResult.REQUESTED
    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.DELETED
    assert set(alpha.scheduler.canceled) == {"1"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_that_nobody_knows_any_more_ends_and_is_not_started_again(world: World, kind: str) -> None:
    job_id, alpha, agent = running(world)
    agent.die()
    purge(alpha, job_id, kind)
    alpha.scheduler._jobs.clear()
    agent = world.agent(alpha)

    agent.until_final(job_id)

    job = world.job(job_id)
    assert job.state is JobState.ERROR
    assert "were removed" in job.error_msg
    assert len(alpha.scheduler.starts) == 1


def test_a_job_whose_outputs_were_removed_ends_and_is_not_done(world: World) -> None:
    job_id, alpha, agent = running(world, 60)
    shutil.rmtree(alpha.home / "cache" / job_id)

    agent.until_final(job_id)

    job = world.job(job_id)
    assert (job.state, job.exit_code) == (JobState.ERROR, 0)
    assert f"its work directory {alpha.home / 'cache' / job_id} was removed" in job.error_msg


def test_files_that_are_gone_when_the_job_has_ended_are_told_of(world: World) -> None:
    job_id, alpha, agent = running(world, 60)
    (alpha.home / "cache" / job_id / "half").write_text("of the results")
    lose_sight_at_stage_out(agent, lambda: purge(alpha, job_id, "control directory"))

    agent.until_final(job_id)

    job = world.job(job_id)
    assert job.state is JobState.DONE
    assert "were removed while it ran" in job.changes[-1].reason
    assert job.size_output


def test_files_out_of_sight_when_the_job_has_ended_are_waited_for(world: World) -> None:
    job_id, alpha, agent = running(world, 60)
    cache, aside = alpha.home / "cache", alpha.home / "unmounted"
    (cache / job_id / "half").write_text("of the results")
    lose_sight_at_stage_out(agent, lambda: cache.rename(aside))
    agent.until(aside.exists)
    agent.cycles(5)
    assert not world.job(job_id).is_final

    aside.rename(cache)
    agent.until_final(job_id)

    job = world.job(job_id)
    assert (job.state, job.error_msg) == (JobState.DONE, "")
    assert job.size_output


def lose_sight_at_stage_out(agent: Agent, lose: Callable[[], object]) -> None:
    """Remove the files between the decision that the job has ended and the search for its outputs."""
    cycle = agent.parts.run.cycle
    finish: Any = cycle.finish_jobs

    def finish_without_files(**how: bool) -> None:
        if any(held.end for held in cycle.holdings.held.values()):
            cycle.finish_jobs = finish
            lose()
        finish(**how)

    replaced: Any = finish_without_files
    replaced.is_busy = False
    cycle.finish_jobs = replaced


def unsubmitted(world: World) -> tuple[str, System, Agent]:
    """Return a job whose files are prepared, and whose submit command was never begun."""
    alpha = world.system("alpha")
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    with submitting_nothing(alpha.scheduler):
        agent.cycle()
    return job_id, alpha, agent


def test_a_prepared_job_whose_control_directory_went_ends_unstarted(world: World) -> None:
    """The proof of who owns the work directory is gone, too: it stays, and nothing is staged out from it."""
    job_id, alpha, agent = unsubmitted(world)
    purge(alpha, job_id, "control directory")

    agent.until_final(job_id)

    job = world.job(job_id)
    assert job.state is JobState.ERROR
    assert "exists and was not made for claim" in job.error_msg
    assert (alpha.scheduler.starts, job.size_output) == ([], 0)
    assert (alpha.home / "cache" / job_id / "run.sh").exists()


def test_a_prepared_job_whose_control_directory_went_can_be_canceled(world: World) -> None:
    job_id, alpha, agent = unsubmitted(world)
    purge(alpha, job_id, "control directory")
    agent.cycles(3)

    world.client().cancel(job_id)
    agent.until_final(job_id, longest_s=60.0)

    assert world.job(job_id).state is JobState.DELETED
    assert alpha.scheduler.starts == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_canceled", [False, True])
def test_a_submission_without_an_answer_whose_files_are_gone_comes_to_an_end(
    world: World, kind: str, is_canceled: bool
) -> None:
    alpha = world.system("alpha")
    alpha.scheduler.submit_faults.append(SubmitFault.LOST)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycle()
    purge(alpha, job_id, kind)
    if is_canceled:
        world.client().cancel(job_id)

    agent.until_final(job_id)

    job = world.job(job_id)
    assert job.state is (JobState.DELETED if is_canceled else JobState.ERROR)
    assert alpha.scheduler.starts == []


def test_a_submission_without_an_answer_whose_job_shell_is_gone_comes_to_an_end(world: World) -> None:
    alpha = world.system("alpha")
    alpha.scheduler.submit_faults.append(SubmitFault.LOST)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycle()
    (alpha.home / "cache" / ".cloudq" / f"{job_id}.1" / "job_shell.sh").unlink()

    agent.until_final(job_id)

    job = world.job(job_id)
    assert job.state is JobState.ERROR
    assert "not started again" in job.error_msg
    assert "its files are gone" in job.error_msg
    assert alpha.scheduler.starts == []


@pytest.mark.parametrize("gone", ["job_shell.sh", "baseline", "everything"])
def test_files_that_go_right_before_the_submission_are_made_anew(world: World, gone: str) -> None:
    """The files are purged after the check that all are there and before the work in the background."""
    job_id, alpha, agent = unsubmitted(world)
    cache = alpha.home / "cache"
    control_dir = cache / ".cloudq" / f"{job_id}.1"
    jobs = agent.parts.run.cycle.hand_over_jobs
    hand_over: Any = jobs.hand_over

    def hand_over_without_files(work: HandOverWork) -> HandOverResult:
        jobs.hand_over = hand_over
        if gone == "everything":
            shutil.rmtree(control_dir)
            shutil.rmtree(cache / job_id)
        else:
            (control_dir / gone).unlink()
        return hand_over(work)  # type: ignore[no-any-return]

    replaced: Any = hand_over_without_files
    jobs.hand_over = replaced

    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE
    assert len(alpha.scheduler.starts) == 1


def test_a_submission_that_a_queue_is_slow_to_show_is_not_given_up(world: World) -> None:
    alpha = world.system("alpha", behaviour=lambda *_: Script(60.0))
    alpha.scheduler.submit_faults.append(SubmitFault.ANSWER_LOST)
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.cycle()
    alpha.scheduler.advance()
    purge(alpha, job_id, "control directory")
    find, answers = alpha.scheduler.find, [(), ()]
    alpha.scheduler.find = lambda tag: answers.pop() if answers else find(tag)  # type: ignore[method-assign]

    agent.until_final(job_id)

    assert len(alpha.scheduler.starts) == 1
    assert world.job(job_id).state is JobState.DONE


@pytest.mark.parametrize("kind", KINDS)
def test_a_cancel_ends_a_submission_whose_traces_were_removed_before_it_was_recorded(
    world: World, kind: str
) -> None:
    """The agent died right after it had submitted: only the ledger and the scheduler know."""
    alpha = world.system("alpha", behaviour=lambda *_: Script(900.0))
    agent = world.agent(alpha, trap=Trap(after_name="scheduler.submit"))
    job_id = world.submit("alpha")
    with pytest.raises(Killed):
        agent.cycle()
    agent.die()
    purge(alpha, job_id, kind)
    world.client().cancel(job_id)

    world.agent(alpha).until_final(job_id)

    assert world.job(job_id).state is JobState.DELETED
    assert alpha.scheduler.canceled


def test_a_canceled_job_whose_control_directory_went_comes_to_an_end(world: World) -> None:
    job_id, alpha, agent = running(world, 30_000)
    agent.die()
    purge(alpha, job_id, "control directory")
    alpha.scheduler._jobs.clear()
    world.client().cancel(job_id)
    agent = world.agent(alpha)

    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.DELETED


def test_files_that_are_out_of_sight_for_a_moment_were_not_removed(world: World) -> None:
    job_id, alpha, agent = running(world, 300)
    cache, aside = alpha.home / "cache", alpha.home / "unmounted"
    cache.rename(aside)
    agent.cycles(10)
    assert not cache.exists()

    aside.rename(cache)
    agent.until_final(job_id)

    assert (world.job(job_id).state, world.job(job_id).error_msg) == (JobState.DONE, "")
    assert "removed" not in world.job(job_id).changes[-1].reason


def test_a_home_that_is_not_mounted_makes_nothing_anew(world: World) -> None:
    job_id, alpha, agent = running(world, 30_000)
    aside = alpha.home.with_name("unmounted")
    alpha.home.rename(aside)
    agent.cycles(60)

    assert not (alpha.home / "cache" / ".cloudq" / f"{job_id}.1").exists()
    assert world.job(job_id).state is JobState.RUN
    shutil.rmtree(alpha.home, ignore_errors=True)
    aside.rename(alpha.home)


def test_files_of_held_jobs_are_touched_daily_and_stay_as_they_are(world: World) -> None:
    job_id, alpha, agent = running(world, 3 * TOUCH_EVERY_S)
    work_dir = alpha.home / "cache" / job_id
    script = work_dir / "run.sh"
    lock = alpha.home / "cache" / ".cloudq" / f"{job_id}.1" / "lock"
    for path in (script, lock, work_dir):
        os.utime(path, (1, 1))

    world.clock.pass_by(TOUCH_EVERY_S)
    agent.cycles(2)

    now = datetime.now(UTC).timestamp()
    for path in (script, lock, work_dir):
        assert now - path.stat().st_atime < 3600
        assert path.stat().st_mtime == 1
