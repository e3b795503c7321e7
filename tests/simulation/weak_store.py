"""Live on a store that ignores conditions: ``python -m tests.simulation.run --weak-store``.

Each system has one home and one agent at a time, as the lock in the home ensures; an agent that is held up
keeps its place. The same faults may happen as in any life. I1 to I6 and I9 must hold; with one home, I7 and
I8 hold, too.
"""

from __future__ import annotations

from attrs import evolve

from cloudq.application.agent.agent_settings import AgentSettings
from tests.simulation.dice import Rates
from tests.simulation.life import Life
from tests.simulation.site import Kind, Kinds
from tests.simulation.watched_store import WatchedStore


class UnconditionalStore(WatchedStore):
    """A store that accepts conditions and ignores them."""

    def put_if_absent(self, key: str, body: bytes) -> str:
        return self.put(key, body)

    def put_if_match(self, key: str, body: bytes, etag: str) -> str:
        return self.put(key, body)


BREAKABLE = frozenset({Kind.LATE_LIST, Kind.SKEWED_DATES, Kind.SLOW_WORK})
"""The kinds that may be broken by default: without conditions, the rest is not promised."""


class WeakLife(Life):
    """A life on such a store, whose agents are configured to accept it."""

    def __attrs_post_init__(self) -> None:
        if not self.kinds.always:
            self.kinds = Kinds(self.kinds.chosen & BREAKABLE)
        super().__attrs_post_init__()
        store = UnconditionalStore(self._date)
        vars(store).update(vars(self.store))
        self.store = store
        for place in self.systems:
            del place.homes[1:]
        if Kind.HOST_LOCKS in self.site.kinds:
            self.slots = [slot for slot in self.slots if slot.home in slot.place.homes]
            return
        firsts = {id(slot.place): slot for slot in reversed(self.slots)}
        self.slots = [slot for slot in self.slots if firsts[id(slot.place)] is slot]

    def _settings(self, name: str) -> AgentSettings:
        return evolve(super()._settings(name), accept_weak_store=True)

    def live(self) -> None:
        """Let every agent report before the first submission: clients learn from the reports."""
        rates, self.rates = self.rates, Rates.none()
        for slot in self.slots:
            slot.step()
        self.rates = rates
        super().live()
