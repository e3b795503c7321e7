"""Make sure, before anything is run, that the store keeps conditional writes apart (protocol 8).

Some stores take the conditions and ignore them; on those two agents would both own a job.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import define

from cloudq.application.hold_lease import HoldLease
from cloudq.domain.errors import StoreUnfit
from cloudq.ports.clock import Clock
from cloudq.ports.system_registry import StoreProbe, SystemRegistry
from cloudq.ports.workers import Workers

LASTS = timedelta(days=1)


@define
class CheckStore:
    """Races conditional writes once a day; the result goes along with the beats."""

    registry: SystemRegistry
    clock: Clock
    workers: Workers
    lease: HoldLease

    def __call__(self) -> None:
        """Check if it is due. Raises `StoreUnfit`, and whatever keeps the store from answering."""
        now = self.clock.now()
        if not _is_recent(self.lease.store_check, now):
            probe = self.registry.probe(self.lease.identity.system, self.workers)
            if not probe.is_fit:
                raise StoreUnfit(_told(probe))
            self.lease.store_check = now.isoformat()
            self.lease.beat()


def _is_recent(checked: str, now: datetime) -> bool:
    try:
        return now - LASTS < datetime.fromisoformat(checked) <= now + LASTS
    except (ValueError, TypeError):
        return False


def _told(probe: StoreProbe) -> str:
    broken = []
    if probe.winners != 1:
        broken.append(f"of several writers that created one key at once {probe.winners} were told they had")
    if not probe.guards:
        broken.append("a rewrite with a wrong ETag was accepted")
    return (
        f"This store does not keep conditional writes apart ({'; '.join(broken)}): jobs could run twice "
        "here, so no agent runs on it. docs/configuration.md says which stores do."
    )
