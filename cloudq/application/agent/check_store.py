"""Check, before any job runs, that the store enforces conditional writes (protocol 8).

Some stores accept the conditions and ignore them; there, two agents would both hold a job.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, evolve, field

from cloudq.application.agent.hold_lease import HoldLease
from cloudq.application.agent.job_trouble import AgentLog
from cloudq.application.shared.seconds_until import seconds_until
from cloudq.domain.errors import StoreUnfit
from cloudq.domain.stores.store_check import LIST_LAG_TOLERATED_S, StoreCheck
from cloudq.ports.clock import Clock
from cloudq.ports.system_registry import StoreProbe, SystemRegistry
from cloudq.ports.workers import Workers

LOST = (
    "late writes of a replaced agent may undo the work of its successor, a final job may appear in the "
    "history twice or not at all, and agents of one system in two homes may run a job twice"
)
"""The price of a weak store for the user: invariants I7 and I8, and two homes per system."""


LIST_LAG_REPORTED_S = 2.0


@define
class CheckStore:
    """Race conditional writes once a day; the heartbeats carry the result."""

    registry: SystemRegistry
    clock: Clock
    workers: Workers
    lease: HoldLease
    log: AgentLog
    accepts_weak: bool = False
    """Whether the user chose to work with a store that does not enforce conditions."""
    doubts: str = ""
    """Why this machine gives reason to doubt that conditions hold in the store; empty if it gives none."""
    _has_warned: bool = field(default=False, init=False)

    def __call__(self) -> None:
        """Check the store if due. Raises `StoreUnfit`, or the error that keeps the store from answering."""
        now = self.clock.now()
        check = self.lease.store_check
        if check is None or not check.is_recent(now):
            probe = self.registry.probe(self.lease.identity.system, self.workers)
            self._report_old_listings()
            check = StoreCheck(now, "; ".join(_flaws(probe)))
        if self.doubts and self.doubts not in check.flaws:  # another machine may have made the check
            check = evolve(check, flaws="; ".join(filter(None, (check.flaws, self.doubts))))
        if check.is_weak:
            self._accept_or_refuse(check)
        self.lease.store_check = check

    def _report_old_listings(self) -> None:
        """Log it if listings lag: claims are read by key, but jobs are found by a listing."""
        system = self.lease.identity.system
        name = self.registry.begin_listing_probe(system)
        try:
            shown_s = seconds_until(
                lambda: self.registry.lists_probe(system, name), self.clock, LIST_LAG_TOLERATED_S
            )
        finally:
            self.registry.end_listing_probe(system, name)
        gone_s = seconds_until(
            lambda: not self.registry.lists_probe(system, name), self.clock, LIST_LAG_TOLERATED_S
        )
        if shown_s is None or gone_s is None:
            self.log.error(
                "listings of this store are too old for cloudq: jobs are found late or not at all",
                tolerated_s=LIST_LAG_TOLERATED_S,
            )
        elif max(shown_s, gone_s) >= LIST_LAG_REPORTED_S:
            self.log.warning("listings of this store lag", new_s=round(shown_s), deleted_s=round(gone_s))

    def _accept_or_refuse(self, check: StoreCheck) -> None:
        if not self.accepts_weak:
            raise StoreUnfit(
                f"This store does not enforce conditional writes ({check.flaws}): jobs could run twice, so "
                "the agent does not run on it. docs/configuration.md lists suitable stores. To use it "
                f"anyway, set [agent] accept_weak_store = true; then {LOST}."
            )
        if not self._has_warned:
            self._has_warned = True
            self.log.warning(
                "this store does not enforce conditional writes, which [agent] accept_weak_store allows",
                found=check.flaws,
                lost=LOST,
                rules="jobs for several systems wait; run agents of this system in this home only",
            )


def _flaws(probe: StoreProbe) -> Iterator[str]:
    if probe.winners != 1:
        yield f"of several writers that created one key at once, {probe.winners} succeeded"
    if not probe.guards:
        yield "a rewrite with a wrong ETag was accepted"
