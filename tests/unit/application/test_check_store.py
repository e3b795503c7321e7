"""An agent refuses a store on which two could own one job."""

from __future__ import annotations

import pytest

from cloudq.domain.errors import StoreUnfit
from cloudq.ports.object_store import ObjectStore
from tests.parts.counting_store import CountingStore
from tests.parts.world import World

DAY_S = 86_400.0


class Ignores:
    """A store that takes conditions and ignores those it was told to."""

    def __init__(self, inner: ObjectStore, *ignored: str) -> None:
        self._inner, self._ignored = inner, ignored

    def __getattr__(self, name: str) -> object:
        if name in self._ignored:
            return lambda key, body, *_: self._inner.put(key, body)
        return getattr(self._inner, name)


@pytest.mark.parametrize(
    ("ignored", "words"),
    [
        ("put_if_absent", "of several writers that created one key at once 8 were told they had"),
        ("put_if_match", "a rewrite with a wrong ETag was accepted"),
    ],
)
def test_no_agent_runs_on_a_store_that_ignores_a_condition(world: World, ignored: str, words: str) -> None:
    store: ObjectStore = Ignores(world.store, ignored)  # type: ignore[assignment]
    alpha = world.system()
    world.submit("alpha")
    agent = world.agent(alpha, store=store)

    with pytest.raises(StoreUnfit, match=words):
        agent.parts.run.forever()
    assert alpha.scheduler.starts == []


def test_a_one_shot_run_refuses_such_a_store_too(world: World) -> None:
    store: ObjectStore = Ignores(world.store, "put_if_absent")  # type: ignore[assignment]

    with pytest.raises(StoreUnfit):
        world.agent(world.system(), store=store, one_shot=True).parts.run.one_cycle()


def test_a_store_is_checked_once_a_day_whatever_agents_come_and_go(world: World) -> None:
    store = CountingStore(world.store)
    alpha = world.system()
    for _ in range(5):
        agent = world.agent(alpha, store=store)
        agent.cycles(1)
        agent.die()
    checks = [key for kind, key in store.requests if kind == "PUT" and "/probe/" in key]
    assert len(checks) == 9

    world.clock.pass_by(DAY_S)
    world.agent(alpha, store=store).cycles(1)

    assert len([key for kind, key in store.requests if kind == "PUT" and "/probe/" in key]) == 18


def test_nothing_of_a_check_is_left_in_the_store(world: World) -> None:
    world.agent(world.system()).cycles(1)

    assert [key for key in world.stored("systems/") if "/probe/" in key] == []
