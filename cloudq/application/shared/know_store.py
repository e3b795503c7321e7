"""What a client knows of the store that it shares with agents, from what these found out (protocol 8)."""

from __future__ import annotations

from attrs import define, field

from cloudq.domain.jobs.lease import Lease
from cloudq.domain.stores.store_check import StoreCheck
from cloudq.ports.system_registry import SystemRegistry


@define
class KnowStore:
    """Whether the store is weak: it takes the conditions of a guarded write and ignores them."""

    registry: SystemRegistry
    _is_weak: bool = field(default=False, init=False)

    @property
    def is_weak(self) -> bool:
        """As far as it was heard; asks nobody."""
        return self._is_weak

    def hear(self, beat: Lease) -> None:
        """Take note of what an agent's beat says."""
        check = StoreCheck.parse(beat.store_check)
        self._is_weak = self._is_weak or (check is not None and check.is_weak)

    def ask(self) -> bool:
        """What the beat says that was written last: 1 LIST and 1 GET.

        Where no agent ever reported, or none that made a check, the store counts as fit: nobody is
        there yet to race with.
        """
        signs = [sign for sign in self.registry.systems().values() if sign.has_lease]
        for sign in sorted(signs, key=lambda each: each.beat_age_s):
            seen = self.registry.lease(sign)
            check = None if seen is None else StoreCheck.parse(seen.lease.store_check)
            if check is not None:
                self._is_weak = check.is_weak
                break
        return self._is_weak
