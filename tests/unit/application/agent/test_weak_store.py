"""Operation on a store that ignores conditions and that a person accepted (protocol 8)."""

from __future__ import annotations

import pytest

from cloudq.adapters.codec import encode_lease
from cloudq.application.shared.cancel_job import CancelResult
from cloudq.domain.errors import InvalidInput, LeaseLost, StoreUnfit
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.names import ClaimTag
from tests.builders import a_lease
from tests.parts.counting_store import CountingStore
from tests.parts.scripted_scheduler import Script
from tests.parts.serial_ids import SerialIds
from tests.parts.weak_store import WeakStore
from tests.parts.world import Agent, System, World, text_of


class ChosenIds(SerialIds):
    """Ids that a test chose for its jobs."""

    def __init__(self, job_ids: list[str], count: int) -> None:
        super().__init__(count)
        self.job_ids = job_ids

    def job_id(self) -> str:
        return self.job_ids.pop(0)


@pytest.fixture
def weak(world: World) -> World:
    """A world whose store ignores conditions."""
    world.store = WeakStore(world.store)
    return world


@pytest.fixture
def alpha(weak: World) -> System:
    return weak.system(behaviour=lambda *_: Script(12, 0, "hello\n", outputs={"out": b"1"}))


@pytest.fixture
def agent(weak: World, alpha: System) -> Agent:
    """An agent that accepts the store and has reported."""
    agent = weak.agent(alpha, accept_weak_store=True)
    agent.cycle()
    return agent


def claims_of(world: World, job_id: str) -> list[str]:
    return [world.body(key).decode() for key in world.stored(f"jobs/{job_id}/claims/")]


# Jobs that run -------------------------------------------------------------------------------


def test_a_job_runs_once_and_comes_back(weak: World, alpha: System, agent: Agent) -> None:
    job_id = weak.submit("alpha")
    agent.until_final(job_id)
    agent.cycles(2)

    assert weak.job(job_id).state is JobState.DONE
    assert text_of(weak.client().read_log.of_job(weak.job(job_id), "stdout", None)) == "hello\n"
    assert len(alpha.scheduler.starts) == 1
    assert (weak.stored("queue/"), len(weak.stored("history/"))) == ([], 1)


def test_a_store_that_refuses_every_condition_serves_as_well(world: World) -> None:
    """Every conditional write would fail there, so cloudq sends no conditions, from the first lease on."""
    world.store = WeakStore(world.store, refused=("put_if_absent", "put_if_match"))
    alpha = world.system(behaviour=lambda *_: Script(12))
    agent = world.agent(alpha, accept_weak_store=True)
    agent.cycle()
    job_id = world.submit("alpha")
    agent.until_final(job_id)

    assert world.job(job_id).state is JobState.DONE


def test_an_agent_that_was_killed_is_followed_by_another(weak: World, alpha: System, agent: Agent) -> None:
    job_id = weak.submit("alpha")
    agent.cycles(2)
    agent.die()
    second = weak.agent(alpha, accept_weak_store=True)
    second.until_final(job_id)

    assert weak.job(job_id).state is JobState.DONE
    assert len(alpha.scheduler.starts) == 1


def test_on_a_store_with_conditions_the_choice_changes_nothing(world: World) -> None:
    store = CountingStore(world.store)
    world.store = store
    agent = world.agent(world.system(), accept_weak_store=True)
    agent.cycle()
    job_id = world.submit("alpha")
    store.reset()
    agent.cycle()

    assert ("GET", f"jobs/{job_id}/claims/1.json") not in store.requests
    assert [words for _, words, _ in world.log.told if "accept_weak_store" in words] == []


# Looks before writes -------------------------------------------------------------------------


def test_each_manifest_is_written_after_a_look_at_the_lease_and_at_the_manifest(
    weak: World, alpha: System
) -> None:
    store = CountingStore(weak.store)
    agent = weak.agent(alpha, store=store, accept_weak_store=True)
    agent.cycle()
    job_id = weak.submit("alpha")
    agent.until_final(job_id)

    manifest = f"jobs/{job_id}/manifest.json"
    before = [
        store.requests[at - 2 : at] for at, each in enumerate(store.requests) if each == ("PUT", manifest)
    ]
    assert len(before) > 1
    assert all(looks == [("GET", "systems/alpha/lease.json"), ("GET", manifest)] for looks in before)


def test_a_former_holder_stops_at_the_next_look(weak: World, alpha: System, agent: Agent) -> None:
    """The agent of another home took the lease: conditions would not stop this one."""
    job_id = weak.submit("alpha")
    weak.store.put("systems/alpha/lease.json", encode_lease(a_lease(2, nonce="another's")))

    with pytest.raises(LeaseLost):
        agent.cycle()
    with pytest.raises(LeaseLost):
        agent.parts.lease.require()
    assert weak.job(job_id).state is JobState.INIT
    assert alpha.scheduler.starts == []


def test_a_new_job_never_takes_the_id_of_another(weak: World, agent: Agent) -> None:
    first = weak.submit("alpha")
    record = weak.body(f"jobs/{first}/manifest.json")
    weak.ids = ChosenIds([first, "0000beef"], count=weak.ids.count)

    assert weak.submit("alpha") == "0000beef"
    assert weak.body(f"jobs/{first}/manifest.json") == record


# Only jobs for one system --------------------------------------------------------------------


def test_a_job_for_any_of_several_is_refused_with_the_reason(weak: World, agent: Agent) -> None:
    weak.agent(weak.system("beta"), accept_weak_store=True).cycle()

    with pytest.raises(
        InvalidInput, match="offered to one system only, but this one would go to alpha, beta"
    ):
        weak.submit("alpha", "beta")
    assert weak.stored("jobs/") == []
    assert weak.submit("alpha")


def test_what_an_older_client_offered_to_several_is_taken_by_none_and_says_why(
    weak: World, alpha: System, agent: Agent
) -> None:
    weak.agent(weak.system("beta"), accept_weak_store=True).cycle()
    said = {key: weak.body(key) for key in weak.stored("systems/")}
    weak.store.delete(list(said))  # as if no agent had reported
    job_id = weak.submit("alpha", "beta")
    for key, body in said.items():
        weak.store.put(key, body)
    agent.cycles(30)

    assert alpha.scheduler.starts == []
    assert claims_of(weak, job_id) == []
    [shown] = weak.client().query.active().jobs
    assert "submit it only to alpha or beta" in shown.note


# Every cancel is a request -------------------------------------------------------------------


def test_a_job_that_nobody_has_taken_is_ended_by_the_agent_that_was_invited(
    weak: World, alpha: System, agent: Agent
) -> None:
    job_id = weak.submit("alpha")
    result = weak.client().cancel(job_id)

    assert result is CancelResult.REQUESTED
    assert (claims_of(weak, job_id), weak.job(job_id).state) == ([], JobState.INIT)

    agent.cycles(3)

    [claim] = claims_of(weak, job_id)
    assert '"kind":"cancel"' in claim.replace(" ", "")
    assert weak.job(job_id).state is JobState.DELETED
    assert alpha.scheduler.starts == []
    assert (weak.stored("queue/"), len(weak.stored("history/"))) == ([], 1)


def test_a_job_that_waits_for_another_is_ended_all_the_same(weak: World, alpha: System, agent: Agent) -> None:
    first = weak.submit("alpha")
    second = weak.submit("alpha", hold_jid=(first,))
    weak.client().cancel(second)
    agent.cycles(2)

    assert weak.job(second).state is JobState.DELETED
    assert not weak.job(first).is_final


def test_a_job_that_no_agent_takes_is_ended_at_its_owner_s_wish(weak: World, agent: Agent) -> None:
    for key in weak.stored("systems/"):
        weak.store.delete([key])
    job_id = weak.submit("alpha", "beta")
    agent.cycles(2)
    weak.client().cancel(job_id)
    agent.cycles(2)

    assert weak.job(job_id).state is JobState.DELETED


def test_a_running_job_is_canceled_as_anywhere(weak: World, alpha: System, agent: Agent) -> None:
    job_id = weak.submit("alpha")
    agent.until(lambda: weak.job(job_id).state is JobState.RUN)
    result = weak.client().cancel(job_id)
    agent.until_final(job_id)
    agent.cycles(3)

    assert result is CancelResult.REQUESTED
    assert weak.job(job_id).state is JobState.DELETED
    assert weak.stored("queue/") == []


def test_canceling_again_while_the_agent_ends_it_asks_again(weak: World, agent: Agent) -> None:
    job_id = weak.submit("alpha")
    client = weak.client()

    assert [client.cancel(job_id) for _ in range(2)] == [CancelResult.REQUESTED] * 2

    agent.cycles(3)

    assert client.cancel(job_id) is CancelResult.CANCELED


def test_a_request_for_a_job_that_is_held_ends_it_once(weak: World, alpha: System, agent: Agent) -> None:
    """The claim was created by an agent that was killed before it wrote the record."""
    job_id = weak.submit("alpha")
    agent.cycle()
    agent.die()
    weak.client().cancel(job_id)
    weak.agent(alpha, accept_weak_store=True).cycles(12)

    assert weak.job(job_id).state is JobState.DELETED
    assert len(claims_of(weak, job_id)) == 1


# Knowledge of clients ------------------------------------------------------------------------


def test_a_client_learns_it_from_the_beat_that_was_written_last(weak: World, agent: Agent) -> None:
    client = weak.client()

    assert (client.know_store.is_weak, client.know_store.ask(), client.know_store.is_weak) == (
        False,
        True,
        True,
    )


def test_a_job_is_not_taken_from_its_holder_there(weak: World, agent: Agent) -> None:
    job_id = weak.submit("alpha")
    agent.cycle()
    client = weak.client()

    with pytest.raises(StoreUnfit, match="8 succeeded; a rewrite with a wrong ETag was accepted"):
        client.take_back(job_id, ("alpha",), 1, force=True)
    with pytest.raises(StoreUnfit):
        client.cancel.without_the_holder(job_id, 1, force=True)
    assert len(claims_of(weak, job_id)) == 1


def test_a_job_that_nobody_holds_is_not_offered_to_others_there(weak: World, agent: Agent) -> None:
    job_id = weak.submit("alpha")

    with pytest.raises(StoreUnfit):
        weak.client().offer(job_id, ("beta",))
    assert weak.client().offer(job_id) == ("alpha",)


def test_a_store_that_was_found_fit_since_is_taken_for_fit(world: World) -> None:
    first = world.agent(world.system(), store=WeakStore(world.store), accept_weak_store=True)
    first.cycle()
    world.clock.pass_by(90_000)
    world.agent(world.system("beta")).cycle()

    assert world.client().know_store.ask() is False


def test_where_nobody_ever_reported_a_store_counts_as_fit(world: World) -> None:
    assert world.client().know_store.ask() is False


def test_on_a_fit_store_a_request_for_an_unclaimed_job_ends_it_too(world: World) -> None:
    agent = world.agent(world.system())
    agent.cycle()
    job_id = world.submit("alpha")
    world.client().cancel.queue.request_cancel("alpha", ClaimTag(job_id, 1))
    agent.cycles(2)

    assert world.job(job_id).state is JobState.DELETED
