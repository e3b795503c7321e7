"""Watching jobs: snapshots, their costs, and a store that is out of reach for a while."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from attrs import define, evolve, field

from cloudq.adapters.job_repository import BucketJobRepository
from cloudq.adapters.object_stores.wrappers.passing_on import PassingOn
from cloudq.application.client.watch_jobs import MOST_ENDED, Snapshot
from cloudq.domain.errors import StoreUnavailable
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.selector import Selector
from cloudq.ports.object_store import ListPage, ObjectStore
from tests.builders import a_finished_job, at
from tests.parts.counting_store import CountingStore
from tests.parts.scripted_scheduler import Script
from tests.parts.world import SCRIPT, World


@define
class AwayStore(PassingOn):
    """A store that is out of reach while a test says so."""

    inner: ObjectStore
    is_away: bool = field(default=False, init=False)

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        if self.is_away:
            raise StoreUnavailable("no answer in 20 s")
        return self.inner.list_page(prefix, start_after=start_after, delimiter=delimiter, limit=limit)


def watching(world: World, every: float = 5.0, ended_within: float = 600.0) -> Iterator[Snapshot]:
    return world.client(world.store).watch(every, ended_within)


def ended(world: World, *jobs: Job) -> None:
    """Put finished jobs into the history."""
    repository = BucketJobRepository(world.store, world.ids)
    for job in jobs:
        repository.put_history(repository.history_key(job))


def test_snapshot_follows_a_job_from_the_queue_to_the_history(world: World) -> None:
    agent = world.agent(world.system())
    agent.cycle()
    job_id = world.submit()
    snapshots = watching(world)
    first = next(snapshots)
    agent.until_final(job_id)
    agent.cycles(2)
    last = next(snapshots)

    assert [(job.job_id, job.state, job.invited) for job in first.jobs] == [
        (job_id, JobState.INIT, ("alpha",))
    ]
    assert (first.ended, last.jobs) == ((), ())
    assert [(entry.job_id, entry.state) for entry in last.ended] == [(job_id, JobState.DONE)]


def test_only_jobs_that_ended_lately_are_shown(world: World) -> None:
    ended(world, a_finished_job("00000001", at(0)), a_finished_job("00000002", at(500)))
    world.clock.pass_by(700)

    assert [entry.job_id for entry in next(watching(world)).ended] == ["00000002"]


def test_only_selected_jobs_are_shown(world: World) -> None:
    for name in ("train.sh", "other.sh"):
        world.submit(script=evolve(SCRIPT, name=name))
    ended(world, a_finished_job("f0000001", name="train.sh"), a_finished_job("f0000002", name="other.sh"))
    snapshot = next(world.client(world.store).watch(5.0, 600.0, Selector(name="train*")))

    assert [job.name for job in snapshot.jobs] == ["train.sh"]
    assert [entry.job_id for entry in snapshot.ended] == ["f0000001"]


def test_ended_jobs_are_selected_by_the_time_of_their_end(world: World) -> None:
    ended(world, a_finished_job("00000001", at(0)), a_finished_job("00000002", at(50)))
    world.clock.pass_by(60)
    snapshot = next(world.client(world.store).watch(5.0, 600.0, Selector(since=timedelta(seconds=30))))

    assert [entry.job_id for entry in snapshot.ended] == ["00000002"]


def test_looks_are_apart_by_the_interval(world: World) -> None:
    snapshots = watching(world, every=7.0)

    assert [next(snapshots).as_of for _ in range(3)] == [at(0), at(7), at(14)]


def test_outage_keeps_the_last_states_and_gives_the_reason(world: World) -> None:
    store = world.store = AwayStore(world.store)
    job_id = world.submit()
    snapshots = watching(world)
    before = next(snapshots)
    store.is_away = True
    during = next(snapshots)
    store.is_away = False
    after = next(snapshots)

    assert [job.job_id for job in before.jobs] == [job_id]
    assert (during.jobs, during.as_of, during.trouble) == (before.jobs, before.as_of, "no answer in 20 s")
    assert (after.as_of, after.trouble) == (at(10), "")


def test_store_that_never_answered_is_an_error(world: World) -> None:
    store = world.store = AwayStore(world.store)
    store.is_away = True

    with pytest.raises(StoreUnavailable):
        next(watching(world))


def test_look_costs_a_list_and_one_request_for_the_history(world: World) -> None:
    agent = world.agent(world.system(behaviour=lambda *_: Script(600)))
    agent.cycles(2)
    for _ in range(3):
        world.submit()
    agent.cycles(3)
    ended(world, *(a_finished_job(f"{n:08x}", at(10)) for n in range(200)))
    store = world.store = CountingStore(world.store)
    snapshot = next(watching(world))

    assert store.counts == {"LIST": 3, "GET": 1}
    assert len(snapshot.ended) == MOST_ENDED
