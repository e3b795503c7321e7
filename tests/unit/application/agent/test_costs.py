"""The cost of each operation in requests (protocol section 10): the table is the specification."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import define

from cloudq.adapters.job_repository import BucketJobQueue
from tests.parts.counting_store import CountingStore
from tests.parts.scripted_scheduler import Script
from tests.parts.world import Agent, System, World

SHARED = ("doorbell/", "queue/alpha/", "systems/")


@define
class Counted:
    """A world whose store counts requests, with a running agent of alpha and no job yet."""

    world: World
    store: CountingStore
    alpha: System
    agent: Agent

    def submit(self, count: int = 1) -> list[str]:
        return [self.world.submit("alpha") for _ in range(count)]

    def finished(self, count: int) -> list[str]:
        job_ids = self.submit(count)
        self.agent.until_final(*job_ids)
        self.agent.cycles(2)
        self.store.reset()
        return job_ids


@pytest.fixture
def counted(world: World) -> Counted:
    store = CountingStore(world.store)
    world.store = store
    alpha = world.system(behaviour=lambda *_: Script(3, 0, "out\n", "err\n", {"result": b"1"}))
    agent = world.agent(alpha)
    agent.cycles(2)
    store.reset()
    return Counted(world, store, alpha, agent)


def test_a_submit_is_4_put_1_list_and_1_get(counted: Counted) -> None:
    counted.submit()

    assert counted.store.counts == {"LIST": 1, "GET": 1, "PUT": 4}


def test_a_held_for_job_costs_a_submit_1_get_more(counted: Counted) -> None:
    first = counted.submit()[0]
    counted.store.reset()

    counted.world.submit("alpha", hold_jid=(first,))

    assert counted.store.counts == {"LIST": 1, "GET": 2, "PUT": 4}


def test_an_unpinned_submit_to_k_systems_is_2_and_2k_put(counted: Counted) -> None:
    counted.world.agent(counted.world.system("beta")).cycles(1)
    counted.store.reset()

    counted.world.submit("alpha", "beta")

    assert counted.store.counts == {"LIST": 1, "GET": 2, "PUT": 2 + 2 * 2}


def test_an_idle_agent_makes_1_get_a_poll_1_put_a_minute_and_1_list_in_5_minutes(counted: Counted) -> None:
    counted.finished(3)

    counted.agent.cycles(240)

    minutes = 240 * 5 / 60
    assert counted.store.counts == {"GET": 240, "PUT": minutes, "LIST": minutes / 5}


def test_a_short_job_costs_its_agent_at_most_12_requests(counted: Counted) -> None:
    job_ids = counted.submit()
    counted.store.reset()

    counted.agent.cycles(4)

    own = [request for request in counted.store.requests if job_ids[0] in request[1]]
    shared = Counter(request for request in counted.store.requests if request not in own)
    assert len(own) <= 12, own
    assert all(request[1].startswith(SHARED) for request in shared), shared
    assert counted.world.job(job_ids[0]).is_final


def test_jobs_of_a_cycle_share_3_requests_and_a_heartbeat_at_most(counted: Counted) -> None:
    counted.submit(10)
    for _ in range(5):
        counted.store.reset()
        counted.agent.cycle()
        counted.world.clock.pass_by(5)

        shared = [key for kind, key in counted.store.requests if key.startswith(SHARED) and kind != "POST"]
        heartbeats = shared.count("systems/alpha/lease.json")
        assert heartbeats <= 1, shared
        assert len(shared) - heartbeats <= 3, shared


def test_deleting_the_queue_entries_of_many_jobs_is_one_request(counted: Counted) -> None:
    counted.submit(40)
    counted.store.reset()

    counted.agent.cycles(4)

    assert counted.store.counts["POST"] == 1
    assert "DELETE" not in counted.store.counts


def test_losing_an_unpinned_job_is_1_get_1_put_1_get_and_1_delete(counted: Counted) -> None:
    beta = counted.world.agent(counted.world.system("beta"))
    beta.cycle()
    job_id = counted.world.submit("alpha", "beta")
    beta.until_final(job_id)
    counted.store.reset()

    counted.agent.cycles(2)

    own = [kind for kind, key in counted.store.requests if job_id in key]
    assert own in (["GET", "PUT", "DELETE"], ["GET", "PUT", "GET", "DELETE"])


def test_adopting_n_jobs_is_n_get_and_a_few(counted: Counted) -> None:
    counted.alpha.scheduler.holds_queue = True
    counted.submit(50)
    counted.agent.cycles(2)
    counted.agent.die()
    successor = counted.world.agent(counted.alpha)
    counted.store.reset()

    successor.cycle()

    manifests = [key for kind, key in counted.store.requests if kind == "GET" and key.startswith("jobs/")]
    assert len(manifests) == 50
    assert len(counted.store.requests) - 50 == 1 + 8, counted.store.requests[:8]


def test_a_list_is_2_list_and_1_get_a_system(counted: Counted) -> None:
    counted.alpha.scheduler.holds_queue = True
    counted.submit(20)
    counted.agent.cycles(2)
    counted.store.reset()

    jobs = counted.world.client().query.active().jobs

    assert len(jobs) == 20
    assert counted.store.counts == {"LIST": 2, "GET": 1}


def test_a_list_reads_each_job_that_no_agent_has_seen_yet(counted: Counted) -> None:
    counted.submit(7)
    counted.store.reset()

    assert len(counted.world.client().query.active().jobs) == 7
    assert counted.store.counts["GET"] <= 1 + 7


def test_status_of_an_unfinished_job_is_1_list_and_2_get(counted: Counted) -> None:
    [job_id] = counted.submit()
    counted.agent.cycle()
    counted.store.reset()

    counted.world.client().query.status(job_id)

    assert counted.store.counts == {"LIST": 1, "GET": 2}


def test_fresh_states_cost_the_agent_1_list_and_1_delete_more(counted: Counted) -> None:
    job_id = counted.world.submit("alpha", array="1-3")
    counted.agent.cycle()
    tag = counted.world.job(job_id).tag
    queue = BucketJobQueue(counted.store, counted.world.ids)
    queue.request_refresh("alpha", tag)
    queue.ring("alpha")
    counted.store.reset()

    counted.agent.cycle()

    own = [request for request in counted.store.requests if not request[1].startswith(f"jobs/{job_id}")]
    kinds = Counter(kind for kind, key in own if key != "systems/alpha/lease.json")
    assert kinds == {"GET": 1, "LIST": 1, "DELETE": 1}
    assert not queue.is_refresh_requested("alpha", tag)


def test_a_stat_is_1_get(counted: Counted) -> None:
    job_id = counted.finished(1)[0]

    counted.world.job(job_id)

    assert counted.store.counts == {"GET": 1}


def test_the_last_50_of_the_history_are_1_list(counted: Counted) -> None:
    counted.finished(60)

    assert len(list(counted.world.client().query.history(50))) == 50
    assert counted.store.counts == {"LIST": 1}


def test_deleting_one_job_is_2_get_1_list_3_post_and_1_delete_at_most(counted: Counted) -> None:
    job_id = counted.finished(1)[0]

    counted.world.client().delete(job_id)

    counts = Counter(counted.store.counts)
    assert counts["GET"] == 2
    assert counts["LIST"] == 1
    assert counts["POST"] + counts["DELETE"] <= 4
    assert counted.world.stored("jobs/") == []
    assert counted.world.stored("history/") == []


def test_deleting_all_jobs_never_lists_single_ones(counted: Counted) -> None:
    counted.finished(100)

    deleted = list(counted.world.client().delete.all_finished())

    assert len(deleted) == 100
    assert counted.store.counts["LIST"] <= 1 + 1 + 100 / 50 + 1
    assert counted.store.counts["POST"] <= 100 / 25
    assert counted.world.stored("jobs/") == []


def test_jobs_that_wait_are_not_read_again_when_others_are_submitted(counted: Counted) -> None:
    counted.alpha.scheduler.holds_queue = True
    first = counted.submit()[0]
    waiting = [counted.world.submit("alpha", hold_jid=(first,)) for _ in range(20)]
    counted.agent.cycles(2)
    counted.store.reset()

    counted.submit()
    counted.agent.cycles(2)

    assert [key for _, key in counted.store.requests if any(job_id in key for job_id in waiting)] == []


@pytest.mark.parametrize("jobs", [1, 20])
def test_however_many_jobs_live_the_scheduler_is_asked_once_a_poll_interval(world: World, jobs: int) -> None:
    alpha = world.system(behaviour=lambda *_: Script(100_000), poll_interval_s=10)
    agent = world.agent(alpha)
    for _ in range(jobs):
        world.submit("alpha")
    agent.cycles(4)
    before = alpha.scheduler.queries

    agent.cycles(60, every_s=5)

    assert alpha.scheduler.queries - before == 30
