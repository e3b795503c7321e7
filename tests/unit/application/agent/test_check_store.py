"""An agent rejects a store on which two holders could own one job."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

import pytest

from cloudq.domain.errors import StoreUnavailable, StoreUnfit, WriteConflict
from cloudq.ports.object_store import ObjectStore
from tests.parts.counting_store import CountingStore
from tests.parts.faulty_store import Fault, FaultyStore, conflict, lost_answer, lost_request
from tests.parts.late_list import LateListStore
from tests.parts.weak_store import CREATE, REPLACE, WeakStore
from tests.parts.world import World

DAY_S = 86_400.0


@pytest.mark.parametrize(
    ("store", "words"),
    [
        (lambda inner: WeakStore(inner, ignored=(CREATE,)), r"at once, 8 succeeded\)"),
        (lambda inner: WeakStore(inner, ignored=(REPLACE,)), r"\(a rewrite with a wrong ETag was accepted\)"),
        (WeakStore, "8 succeeded; a rewrite with a wrong ETag was accepted"),
        (lambda inner: WeakStore(inner, ignored=(), refused=(CREATE,)), "at once, 0 succeeded"),
    ],
    ids=["creates many", "replaces anything", "ignores everything", "creates nothing"],
)
def test_no_agent_runs_on_a_store_without_working_conditions_unless_a_person_says_so(
    world: World, store: Callable[[ObjectStore], WeakStore], words: str
) -> None:
    weak = store(world.store)
    alpha = world.system()
    world.submit("alpha")
    agent = world.agent(alpha, store=weak)

    with pytest.raises(StoreUnfit, match=words) as refusal:
        agent.parts.run.forever()
    assert "set [agent] accept_weak_store = true; then late writes of a replaced agent" in str(refusal.value)
    assert "agents of one system in two homes may run a job twice" in str(refusal.value)
    assert alpha.scheduler.starts == []
    assert world.stored("systems/") == []


def test_a_one_shot_run_refuses_such_a_store_too(world: World) -> None:
    store = WeakStore(world.store, ignored=(CREATE,))

    with pytest.raises(StoreUnfit):
        world.agent(world.system(), store=store, one_shot=True).parts.run.one_cycle()


def test_an_accepted_store_is_told_of_once_by_each_agent_and_in_its_beats(world: World) -> None:
    alpha = world.system()
    for _ in range(2):
        world.log.told.clear()
        agent = world.agent(alpha, store=WeakStore(world.store), accept_weak_store=True)
        agent.cycles(3)
        world.clock.pass_by(400)
        agent.cycles(3)
        told = [
            words for kind, words, _ in world.log.told if kind == "warning" and "accept_weak_store" in words
        ]
        agent.die()
        assert len(told) == 1

    told = world.body("systems/alpha/lease.json").decode()
    assert " weak: of several writers that created one key at once, 8 succeeded" in told


def test_what_an_agent_accepted_another_still_refuses(world: World) -> None:
    """The result of the check is passed on; each agent accepts the store for itself."""
    alpha, weak = world.system(), WeakStore(world.store)
    first = world.agent(alpha, store=weak, accept_weak_store=True)
    first.cycles(1)
    first.die()

    with pytest.raises(StoreUnfit, match="8 succeeded; a rewrite with a wrong ETag was accepted"):
        world.agent(alpha, store=weak).parts.run.forever()


@pytest.mark.parametrize("fault", [lost_request, lost_answer])
def test_a_check_without_an_answer_is_no_check(world: World, fault: Fault) -> None:
    """Neither fit nor weak: nothing is written in the system's name until the store has answered."""
    store = FaultyStore(world.store, deque([fault]))
    agent = world.agent(world.system(), store=store)

    with pytest.raises(StoreUnavailable):
        agent.cycle()
    assert world.stored("systems/") == []

    agent.cycle()
    assert world.stored("systems/alpha/lease.json") == ["systems/alpha/lease.json"]


def test_a_store_that_decides_no_creation_is_asked_again(world: World) -> None:
    store = FaultyStore(world.store, deque([conflict] * 8))
    agent = world.agent(world.system(), store=store)

    with pytest.raises(WriteConflict):
        agent.cycle()
    agent.cycle()

    assert world.stored("systems/alpha/lease.json") == ["systems/alpha/lease.json"]


def test_a_store_is_checked_once_a_day_whatever_agents_come_and_go(world: World) -> None:
    store = CountingStore(world.store)
    alpha = world.system()
    for _ in range(5):
        agent = world.agent(alpha, store=store)
        agent.cycles(1)
        agent.die()
    checks = [key for kind, key in store.requests if kind == "PUT" and "/probe/" in key]
    assert len(checks) == 10

    world.clock.pass_by(DAY_S)
    world.agent(alpha, store=store).cycles(1)

    assert len([key for kind, key in store.requests if kind == "PUT" and "/probe/" in key]) == 20


@pytest.mark.parametrize(
    ("lag_s", "told"),
    [(0.0, []), (20.0, ["listings of this store lag"]), (90.0, ["listings of this store are too old"])],
)
def test_an_agent_tells_of_listings_that_lag(world: World, lag_s: float, told: list[str]) -> None:
    world.store = LateListStore(world.clock, lag_s)
    alpha = world.system()

    world.agent(alpha).cycles(1)

    events = [event for _, event, _ in world.log.told if event.startswith("listings")]
    assert [event[: len(words)] for event, words in zip(events, told, strict=True)] == told


def test_nothing_of_a_check_is_left_in_the_store(world: World) -> None:
    world.agent(world.system()).cycles(1)

    assert [key for key in world.stored("systems/") if "/probe/" in key] == []


LOCKS = "file locks on /data (nfs4, local_lock=all) hold on one host only"


def test_what_this_machine_knows_of_the_store_counts_like_a_failed_check(world: World) -> None:
    agent = world.agent(world.system())
    agent.parts.run.check_store.doubts = LOCKS

    with pytest.raises(StoreUnfit, match=re.escape(f"({LOCKS})")):
        agent.parts.run.forever()
    assert world.stored("systems/") == []


def test_a_check_of_another_machine_does_not_hide_what_this_one_knows(world: World) -> None:
    alpha = world.system()
    world.agent(alpha, host="login2").parts.run.one_cycle()
    agent = world.agent(alpha)
    agent.parts.run.check_store.doubts = LOCKS

    with pytest.raises(StoreUnfit, match="hold on one host only"):
        agent.parts.run.forever()
