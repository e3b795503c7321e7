"""The conditions for an agent to act on the scheduler or its home (protocol 6.6 and 6.7)."""

from __future__ import annotations

import pytest

from cloudq.adapters.codec import encode_lease
from cloudq.adapters.workspace import DirectoryLeaseMemory
from cloudq.domain.errors import LeaseLost
from cloudq.domain.jobs.job_state import JobState
from tests.builders import a_lease
from tests.parts.counting_store import CountingStore
from tests.parts.scripted_scheduler import Script
from tests.parts.world import World

LEASE = "systems/alpha/lease.json"


def take_the_lease_away(world: World) -> None:
    """Let another agent succeed this one, whose clocks were stopped."""
    world.store.put(LEASE, encode_lease(a_lease(2, nonce="another's")))


def test_an_agent_that_was_succeeded_submits_nothing(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(3))
    agent = world.agent(alpha)
    agent.cycle()
    job_id = world.submit("alpha")
    take_the_lease_away(world)

    with pytest.raises(LeaseLost):
        agent.cycle()

    assert alpha.scheduler.starts == []
    assert not (alpha.home / "cache" / job_id).exists()


def test_an_agent_that_was_succeeded_cancels_nothing(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(3000))
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    agent.until(lambda: world.job(job_id).state is JobState.RUN)
    world.client().cancel(job_id)
    take_the_lease_away(world)

    with pytest.raises(LeaseLost):
        agent.cycle()

    assert alpha.scheduler.canceled == []


def test_an_agent_that_was_succeeded_removes_no_work_directory(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(3, outputs={"made": b"1"}))
    agent = world.agent(alpha, keep_s=60.0)
    job_id = world.submit("alpha")
    agent.until_final(job_id)
    for _ in range(20):
        world.clock.pass_by(50)
        agent.parts.lease.send_heartbeat()
    take_the_lease_away(world)

    with pytest.raises(LeaseLost):
        agent.cycle()

    assert (alpha.home / "cache" / job_id).is_dir()


def test_a_heartbeat_is_sent_before_the_first_act_of_a_cycle(world: World) -> None:
    store = CountingStore(world.store)
    agent = world.agent(world.system(), store=store)
    agent.cycle()
    world.clock.pass_by(5)
    for _ in range(5):
        world.submit("alpha")
    store.reset()

    agent.cycle()

    assert [kind for kind, key in store.requests if key == LEASE] == ["PUT"]


def test_a_claimed_job_is_not_submitted_while_the_home_is_in_doubt(world: World) -> None:
    alpha = world.system(behaviour=lambda *_: Script(3))
    alpha.scheduler.unavailable = True
    agent = world.agent(alpha)
    job_id = world.submit("alpha")
    memory = DirectoryLeaseMemory(alpha.home, "alpha")
    agent.parts.run.lease.acquire()
    agent.parts.run.cycle.begin_epoch()
    agent.parts.run.cycle.watch_queue()
    agent.parts.run.cycle.take_jobs()
    memory.raise_doubt("it is a copy")
    alpha.scheduler.unavailable = False

    agent.cycles(20)
    assert alpha.scheduler.starts == []
    assert world.job(job_id).state is JobState.INIT

    memory.confirm()
    agent.until_final(job_id)
    assert len(alpha.scheduler.starts) == 1


def test_a_job_that_waits_for_a_person_says_so(world: World) -> None:
    alpha = world.system()
    agent = world.agent(alpha)
    agent.cycle()
    DirectoryLeaseMemory(alpha.home, "alpha").raise_doubt("it is a copy")
    job_id = world.submit("alpha")
    agent.cycles(3)

    [shown] = world.client().query.active().jobs
    assert (shown.job_id, shown.note) == (job_id, "it is a copy")
