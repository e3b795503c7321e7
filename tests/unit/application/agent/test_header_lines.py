"""The header lines of a job's script reach the submit command, whichever process submits the job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.domain.errors import WorkspaceProblem
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.ports.batch_scheduler import Submission, SubmitPlan
from tests.parts.scripted_scheduler import ScriptedScheduler, SubmitFault, submitting_nothing
from tests.parts.world import System, World

SCRIPT = Jobscript("run.sh", b"#!/bin/bash\n#LOCAL --slots 2\necho\n#LOCAL --slots 3\n")
LINES = ("#LOCAL --slots 2",)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Jobscript | None]:
    """The results of all reads of job shells."""
    results: list[Jobscript | None] = []
    read = DirectoryClaimSpace.read_job_shell

    def noted(space: DirectoryClaimSpace) -> Jobscript | None:
        results.append(read(space))
        return results[-1]

    monkeypatch.setattr(DirectoryClaimSpace, "read_job_shell", noted)
    return results


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[SubmitPlan]:
    """All plans that schedulers made."""
    made: list[SubmitPlan] = []
    plan = ScriptedScheduler.plan

    def noted(scheduler: ScriptedScheduler, submission: Submission) -> SubmitPlan:
        made.append(plan(scheduler, submission))
        return made[-1]

    monkeypatch.setattr(ScriptedScheduler, "plan", noted)
    return made


def prepared(world: World) -> tuple[System, str]:
    """Return a job whose files are prepared, by an agent that ended before it submitted the job."""
    alpha = world.system("alpha")
    job_id = world.submit("alpha", script=SCRIPT)
    agent = world.agent(alpha)
    with submitting_nothing(alpha.scheduler):
        agent.cycle()
    agent.die()
    return alpha, job_id


def test_the_process_that_wrote_the_job_shell_does_not_read_it(
    world: World, reads: list[Jobscript | None], plans: list[SubmitPlan]
) -> None:
    agent = world.agent(world.system("alpha"))
    world.submit("alpha", script=SCRIPT)

    agent.cycle()

    assert reads == []
    assert [plan.submission.header_lines for plan in plans] == [LINES, LINES]  # for the job shell, to submit


def test_another_process_reads_the_header_lines_from_the_job_shell_once(
    world: World, reads: list[Jobscript | None]
) -> None:
    alpha, _ = prepared(world)
    alpha.scheduler.submit_faults.append(SubmitFault.DEFERRED)
    agent = world.agent(alpha)

    agent.until(lambda: bool(alpha.scheduler.starts))

    assert len(reads) == 1
    assert [submission.header_lines for _, submission in alpha.scheduler.submissions] == [LINES]


def test_a_job_whose_job_shell_cannot_be_read_is_not_submitted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, _ = prepared(world)
    monkeypatch.setattr(DirectoryClaimSpace, "read_job_shell", fails(WorkspaceProblem("stale file handle")))

    world.agent(alpha).cycles(3)

    assert alpha.scheduler.submissions == []


def fails(error: Exception) -> Callable[[object], Any]:
    def fail(_: object) -> Any:
        raise error

    return fail
