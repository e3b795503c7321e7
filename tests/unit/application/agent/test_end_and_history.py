"""Between the final record and the history entry (protocol 5.4): a job is always visible somewhere."""

from __future__ import annotations

import pytest
from attrs import evolve

from cloudq.application.client.wait_for_job import HISTORY_WITHIN_S
from cloudq.domain.errors import StoreUnavailable
from cloudq.domain.jobs.job_state import JobState
from cloudq.testing.fake_clock import FakeClock
from cloudq.testing.memory_store import MemoryStore
from tests.parts.scripted_scheduler import Script
from tests.parts.world import Agent, World


class NoHistory(MemoryStore):
    """A store that accepts no history entries while it is *down*."""

    down = True

    def put(self, key: str, body: bytes) -> str:
        if self.down and key.startswith("history/"):
            raise StoreUnavailable("503")
        return super().put(key, body)


@pytest.fixture
def store(world: World) -> NoHistory:
    world.store = store = NoHistory(world.clock.now)
    return store


def ended_without_an_entry(world: World) -> tuple[str, Agent]:
    agent = world.agent(world.system("alpha", behaviour=lambda *_: Script(3)))
    job_id = world.submit("alpha")
    agent.until_final(job_id)
    return job_id, agent


def listed(world: World) -> list[str]:
    return [job.job_id for job in world.client().query.active().jobs]


def ended(world: World) -> list[str]:
    return [entry.job_id for entry in world.client().query.history()]


def test_a_job_is_listed_until_it_is_in_the_history(world: World, store: NoHistory) -> None:
    job_id, agent = ended_without_an_entry(world)
    assert (listed(world), ended(world)) == ([job_id], [])
    agent.cycles(5)
    assert (listed(world), ended(world)) == ([job_id], [])

    store.down = False
    agent.cycles(10)

    assert (listed(world), ended(world)) == ([], [job_id])


def test_a_job_whose_agent_died_before_the_entry_is_listed_as_ended(world: World, store: NoHistory) -> None:
    job_id, agent = ended_without_an_entry(world)
    agent.die()
    for key in world.stored("systems/alpha/active/"):
        store.delete([key])

    [line] = world.client().query.active().jobs

    assert (line.job_id, line.state) == (job_id, JobState.DONE)
    assert line.note == "it has ended; its history entry is not written yet"


def test_an_entry_that_was_put_hides_a_job_whose_queue_entry_is_left(world: World, store: NoHistory) -> None:
    job_id, _ = ended_without_an_entry(world)
    for key in world.stored("systems/alpha/active/"):
        store.delete([key])
    store.down = False

    world.client().cancel.end_job.confirm_final(world.job(job_id))

    assert (listed(world), ended(world)) == ([], [job_id])


def test_wait_returns_once_the_job_is_in_the_history(world: World, store: NoHistory) -> None:
    job_id, _ = ended_without_an_entry(world)
    client = world.client()

    class Meanwhile(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            store.down = False
            client.cancel.end_job.confirm_final(world.job(job_id))

    job = evolve(client.wait, clock=Meanwhile())(job_id, timeout_s=None, poll_s=1.0)

    assert (job.state, ended(world)) == (JobState.DONE, [job_id])


def test_wait_tells_of_an_end_whose_entry_cannot_be_written(world: World, store: NoHistory) -> None:
    job_id, _ = ended_without_an_entry(world)
    began = world.clock.elapsed()

    assert world.client().wait(job_id, timeout_s=None, poll_s=1.0).state is JobState.DONE
    assert HISTORY_WITHIN_S <= world.clock.elapsed() - began < HISTORY_WITHIN_S + 5
