"""A scheduler that is reset reuses ids: no job of another user is canceled in place of one of ours."""

from __future__ import annotations

from cloudq.application.agent.stop_claim import StopClaim
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.names import ClaimTag
from tests.parts.scripted_scheduler import Script, ScriptedScheduler
from tests.parts.world import Agent, System, World

LONG = Script(3000)


def handed_over(world: World) -> tuple[System, Agent, str]:
    system = world.system(behaviour=lambda *_: LONG)
    agent = world.agent(system)
    job_id = world.submit("alpha")
    agent.until(lambda: world.job(job_id).state is JobState.RUN)
    return system, agent, job_id


def give_the_id_to_another(world: World, scheduler: ScriptedScheduler) -> None:
    """Let the controller lose its state, and give the first id to the job of another agent."""
    scheduler.reset()
    other = world.agent(System("beta", world.tmp / "beta", scheduler))
    job_id = world.submit("beta")
    other.until(lambda: world.job(job_id).state is JobState.RUN)


def test_a_canceled_job_whose_id_is_anothers_by_now_costs_nobody_elses_job(world: World) -> None:
    alpha, agent, job_id = handed_over(world)
    give_the_id_to_another(world, alpha.scheduler)

    world.client().cancel(job_id)
    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.DELETED
    assert alpha.scheduler.canceled == []


def test_a_claim_that_was_replaced_leaves_the_new_owner_of_its_id_alone(world: World) -> None:
    alpha, agent, job_id = handed_over(world)
    give_the_id_to_another(world, alpha.scheduler)

    world.client().take_back(job_id, ("gamma",), 1, force=True)
    agent.cycles(3)

    assert alpha.scheduler.canceled == []
    assert world.stored(f"queue/alpha/{job_id}") == []  # and it does not wait for the end of the other job


def test_a_job_that_nobody_found_is_canceled_by_the_id_that_was_noted(world: World) -> None:
    alpha, _, job_id = handed_over(world)
    scheduler = ForgetfulFinder(alpha.scheduler)

    stop = StopClaim(scheduler, lambda: None)  # type: ignore[arg-type]

    assert stop.cancel_all(ClaimTag(job_id, 1), ("1", "7")) == ("1",)
    assert alpha.scheduler.canceled == ["1"]


class ForgetfulFinder:
    """A scheduler that finds nothing by its tag."""

    def __init__(self, scheduler: ScriptedScheduler) -> None:
        self.poll, self.cancel = scheduler.poll, scheduler.cancel

    def find(self, tag: ClaimTag) -> tuple[str, ...]:
        return ()
