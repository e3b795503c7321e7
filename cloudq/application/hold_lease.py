"""Hold a system's lease: one process at a time acts for it (protocol section 6)."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from attrs import define, evolve, field, frozen

from cloudq.domain.errors import LeaseLost
from cloudq.domain.lease import (
    HeldLease,
    Lease,
    Offer,
    ProcessIdentity,
    Watch,
    is_stale_by_store_clock,
)
from cloudq.domain.store_check import StoreCheck
from cloudq.ports.clock import Clock, IdSource
from cloudq.ports.system_registry import SeenLease, SystemRegistry


@frozen
class AgentIdentity:
    """What this process says of itself in its beats."""

    system: str
    process: ProcessIdentity
    version: str
    profile: str
    offer: Offer


@frozen
class LeaseWait:
    """Somebody else holds the lease: who, and how old its last beat is."""

    holder: Lease
    age_s: float


@define
class HoldLease:
    """Takes, beats and gives back the lease of one system.

    `beat` may be called from a thread of its own; everything else from one thread.
    """

    registry: SystemRegistry
    clock: Clock
    ids: IdSource
    identity: AgentIdentity
    is_process_gone: Callable[[ProcessIdentity], bool]
    """Whether a process of this machine has certainly ended."""
    one_shot: bool = False
    """A run of one cycle cannot watch for long: it judges by the store's clock."""
    store_check: StoreCheck | None = None
    """What is known of the store, from one's own look or the holder before: goes on from epoch to epoch."""
    last_error: str = ""
    """Told to clients with the next beat."""
    _held: HeldLease | None = field(default=None, init=False)
    _watch: Watch | None = field(default=None, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    @property
    def epoch(self) -> int:
        """The epoch held. Raises `LeaseLost` without one."""
        if self._held is None:
            raise LeaseLost(f"No lease of {self.identity.system} is held.")
        return self._held.lease.epoch

    def may_write(self) -> bool:
        """Whether anything may still be written in the system's name."""
        held = self._held
        return held is not None and held.may_write(self.clock.elapsed())

    def require(self) -> None:
        """Raise `LeaseLost` unless this process may act now."""
        if not self.may_write():
            raise LeaseLost(f"The lease of {self.identity.system} could not be renewed in time.")

    @property
    def is_store_weak(self) -> bool:
        """Whether the store is known to ignore conditions."""
        return self.store_check is not None and self.store_check.is_weak

    def look_again(self) -> None:
        """Raise `LeaseLost` if another process has taken the lease by the store's word; one LIST.

        For a store on which no condition stops what a former holder writes.
        """
        epoch = self.epoch
        if self.registry.newest_epoch(self.identity.system) > epoch:
            with self._lock:
                self._held = None
            raise LeaseLost(f"Another agent has taken the lease of {self.identity.system}.")

    def is_lapsed(self) -> bool:
        """Whether the lease must be taken anew."""
        held = self._held
        return held is None or held.is_lapsed(self.clock.elapsed())

    def acquire(self, check_store: Callable[[], object] = lambda: None) -> LeaseWait | None:
        """Try once to take the lease; None when it is held now, else who holds it.

        To be repeated by a waiter: it needs two looks a whole time to live apart. *check_store* is
        called once the lease may be taken and before anything is written for it.
        """
        with self._lock:  # a beat that is still under way must not bring the old epoch back
            self._held = None
        asked_at = self.clock.elapsed()
        seen = self.registry.newest_lease(self.identity.system)
        if seen is not None and not self._may_succeed(seen, asked_at):
            return LeaseWait(seen.lease, seen.age_s)
        if seen is not None:
            self.store_check = StoreCheck.parse(seen.lease.store_check)
        check_store()
        return self._create(1 if seen is None else seen.lease.epoch + 1)

    def beat_if_due(self) -> None:
        """Send the next beat when it is time."""
        held = self._held
        if held is not None and held.beat_is_due(self.clock.elapsed()):
            self.beat()

    def beat(self) -> None:
        """Send a beat; what is held counts from before it was sent, once it is confirmed.

        One that is confirmed only after the lease lapsed came too late: a waiter may have seen the
        beat before it for a whole time to live, and act by now.
        """
        with self._lock:
            held = self._held
            if held is None or held.is_lapsed(self.clock.elapsed()):
                return
            sent = self._sent(held.lease.beaten(self.ids.nonce(), self.last_error))
            if not held.is_lapsed(self.clock.elapsed()):
                self._held = sent

    def release(self) -> None:
        """Give the lease back, so that the next process need not wait."""
        with self._lock:
            if self._held is None or not self._held.may_write(self.clock.elapsed()):
                return
            last = self._held.lease.beaten(self.ids.nonce(), self.last_error, released=True)
            self._held = None  # before a successor can see it
            self._sent(last)

    def _sent(self, lease: Lease) -> HeldLease:
        sent_at = self.clock.elapsed()
        self.registry.beat(self.identity.system, evolve(lease, store_check=self._told_of_store))
        return HeldLease(lease, sent_at)

    @property
    def _told_of_store(self) -> str:
        return "" if self.store_check is None else str(self.store_check)

    def _may_succeed(self, seen: SeenLease, asked_at: float) -> bool:
        """Judge a beat that was read after *asked_at*, maybe long before now."""
        holder, now = seen.lease, self.clock.elapsed()
        if holder.released or self._holder_is_gone(holder):
            return True
        if self.one_shot:
            return is_stale_by_store_clock(holder, seen.age_s)
        if self._watch is None:
            self._watch = Watch(holder.epoch, holder.nonce, now)
        dead = self._watch.shows_a_dead_holder(holder, asked_at)
        self._watch = self._watch.continued(holder, now)
        return dead

    def _holder_is_gone(self, holder: Lease) -> bool:
        mine = self.identity.process
        if holder.process == mine:
            return True  # this very process, whose epoch lapsed: it takes the next one
        return mine.shares_process_table_with(holder.process) and self.is_process_gone(holder.process)

    def _create(self, epoch: int) -> LeaseWait | None:
        me = self.identity
        lease = Lease(
            epoch=epoch,
            process=me.process,
            nonce=self.ids.nonce(),
            version=me.version,
            profile=me.profile,
            offer=me.offer,
            store_check=self._told_of_store,
            last_error=self.last_error,
            since=self.clock.now(),
        )
        sent_at = self.clock.elapsed()
        self._watch = None
        created = self.registry.create_lease(me.system, lease)
        if not created or self.registry.newest_epoch(me.system) > epoch:
            seen = self.registry.newest_lease(me.system)
            return LeaseWait(lease, 0.0) if seen is None else LeaseWait(seen.lease, seen.age_s)
        self.registry.drop_leases_before(me.system, epoch)
        self._held = HeldLease(lease, sent_at)
        return None
