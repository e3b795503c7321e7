"""The job shell tells every script its system, and every task its array, however the array was requested."""

from __future__ import annotations

from attrs import evolve

from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.ports.batch_scheduler import Submission, SubmitPlan
from tests.parts.world import System, World


def job_shell_of(world: World, alpha: System, array: str | None = None) -> str:
    """Return the job shell of a job that was handed over on alpha."""
    world.submit("alpha", array=array)
    world.agent(alpha).cycle()
    [(_, submission)] = alpha.scheduler.submissions
    return submission.job_shell.read_text()


def test_script_of_a_plain_job_learns_its_system_and_no_array(world: World) -> None:
    text = job_shell_of(world, world.system("alpha"))

    assert "export SYSTEM=alpha\n" in text
    assert "ARY_TASK" not in text


def test_tasks_of_a_local_script_learn_their_array(world: World) -> None:
    text = job_shell_of(world, world.system("alpha"), array="1-7:2")

    assert "export ARY_TASK_ID=${cq_task:-1}\n" in text
    assert "export ARY_TASK_FIRST=1 ARY_TASK_LAST=7 ARY_TASK_STEPSIZE=2\n" in text


def test_array_that_only_options_or_header_lines_request_is_told_too(world: World) -> None:
    alpha = world.system("alpha")
    plan = alpha.scheduler.plan

    def plan_of_two_tasks(submission: Submission) -> SubmitPlan:
        return evolve(plan(submission), array=ArrayRange.parse("2-4:2"))

    alpha.scheduler.plan = plan_of_two_tasks  # type: ignore[method-assign]

    assert "ARY_TASK_FIRST=2 ARY_TASK_LAST=4 ARY_TASK_STEPSIZE=2\n" in job_shell_of(world, alpha)
