"""The client's knowledge about the store, learned from the agents' store checks (protocol 8)."""

from __future__ import annotations

from attrs import define, field

from cloudq.domain.jobs.lease import Lease
from cloudq.domain.stores.store_check import StoreCheck
from cloudq.ports.system_registry import SystemRegistry


@define
class KnowStore:
    """Learn whether the store is weak, that is, accepts the conditions of guarded writes but ignores them."""

    registry: SystemRegistry
    _is_weak: bool = field(default=False, init=False)

    @property
    def is_weak(self) -> bool:
        """Return True if a store check read so far found the store weak; sends no request."""
        return self._is_weak

    def note_check(self, heartbeat: Lease) -> None:
        """Take over the result of the store check in an agent's lease."""
        check = StoreCheck.parse(heartbeat.store_check)
        self._is_weak = self._is_weak or (check is not None and check.is_weak)

    def ask(self) -> bool:
        """Return whether the newest store check in a lease found the store weak: 1 LIST and 1 GET.

        If no agent ever reported, or none made a check, the store counts as fit: there is no agent yet to
        race with.
        """
        signs = [sign for sign in self.registry.systems().values() if sign.has_lease]
        for sign in sorted(signs, key=lambda sign: sign.heartbeat_age_s):
            seen = self.registry.lease(sign)
            check = None if seen is None else StoreCheck.parse(seen.lease.store_check)
            if check is not None:
                self._is_weak = check.is_weak
                break
        return self._is_weak
