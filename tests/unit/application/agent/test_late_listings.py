"""A LIST that shows the state of some seconds ago (protocol 2.3 and 8.1)."""

from __future__ import annotations

import pytest

from cloudq.application.shared.cancel_job import CancelResult
from cloudq.domain.jobs.job_state import JobState
from tests.parts.late_list import LateListStore
from tests.parts.scripted_scheduler import Script
from tests.parts.world import World


@pytest.fixture
def late(world: World) -> World:
    world.store = LateListStore(world.clock, lag_s=30.0)
    return world


def test_a_restarted_agent_goes_on_with_a_claim_no_listing_shows(late: World) -> None:
    alpha = late.system("alpha", behaviour=lambda *_: Script(600))
    job_id = late.submit("alpha")
    late.clock.pass_by(31)
    agent = late.agent(alpha)
    agent.until(lambda: bool(alpha.scheduler.starts))
    agent.die()
    successor = late.agent(alpha)

    successor.until_final(job_id)

    assert late.job(job_id).state is JobState.DONE
    assert alpha.scheduler.canceled == []
    assert len(alpha.scheduler.starts) == 1


def test_a_cancel_sees_a_claim_that_no_listing_shows(late: World) -> None:
    alpha = late.system("alpha", behaviour=lambda *_: Script(600))
    job_id = late.submit("alpha")
    late.clock.pass_by(31)
    agent = late.agent(alpha)
    agent.until(lambda: bool(alpha.scheduler.starts))

    assert late.client().cancel(job_id) is CancelResult.REQUESTED
    late.clock.pass_by(31)
    agent.until_final(job_id)

    assert late.job(job_id).state is JobState.DELETED
    assert alpha.scheduler.canceled == ["1"]


def test_many_jobs_end_well_though_listings_are_late(late: World) -> None:
    alpha = late.system("alpha", behaviour=lambda *_: Script(3))
    jobs = [late.submit("alpha") for _ in range(20)]
    agent = late.agent(alpha)

    agent.until_final(*jobs)
    agent.cycles(20)

    assert {late.job(job_id).state for job_id in jobs} == {JobState.DONE}
    assert len(alpha.scheduler.starts) == len(jobs)
    assert late.stored("queue/") == []
    assert len(late.stored("history/")) == len(jobs)
