"""Hold the lease of a system, so that one process at a time acts for it (protocol section 6)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from attrs import define, evolve, field, frozen

from cloudq.domain.errors import LeaseLost, OutcomeUnknown, StoreProblem, WorkspaceProblem
from cloudq.domain.jobs.lease import (
    SKEW_TOLERATED,
    HeldLease,
    Lease,
    LeaseNotes,
    Offer,
    ProcessIdentity,
    SentLease,
    Watch,
    is_stale_by_store_clock,
    why_copied,
    why_doubted_before,
    why_older,
)
from cloudq.domain.stores.store_check import StoreCheck
from cloudq.ports.clock import Clock, IdSource, StoreTime
from cloudq.ports.lease_memory import LeaseMemory
from cloudq.ports.system_registry import SeenLease, SystemRegistry

CONFIRMED_FOR_S = 10.0
"""How long a confirmed heartbeat lets this process act without another one."""


@frozen
class AgentIdentity:
    """The description of this process in its heartbeats."""

    system: str
    process: ProcessIdentity
    version: str
    profile: str
    offer: Offer


@frozen
class LeaseWait:
    """The lease of another holder, and the age of its last heartbeat."""

    holder: Lease
    age_s: float


@define
class HoldLease:
    """Take, renew and give back the lease of one system.

    `heartbeat` and `confirm` may be called from any thread, everything else from one thread only.
    """

    registry: SystemRegistry
    clock: Clock
    store_time: StoreTime
    ids: IdSource
    identity: AgentIdentity
    home: Callable[[], str]
    """The id of this home."""
    memory: LeaseMemory
    is_process_gone: Callable[[ProcessIdentity], bool]
    """Return whether a process of this machine has certainly ended."""
    one_shot: bool = False
    """Whether this is a run of one cycle, which cannot watch for long and judges by the store's clock."""
    store_check: StoreCheck | None = None
    """The last check of the store, by this process or an earlier holder; it is kept across epochs."""
    last_error: str = ""
    """The error that the next heartbeat shows to clients."""
    busy: str = ""
    """The work in the background, which the next heartbeat shows, too."""
    _held: HeldLease | None = field(default=None, init=False)
    _watch: Watch | None = field(default=None, init=False)
    _home: str = field(default="", init=False)
    """The id of this home when the lease was taken."""
    _own: LeaseNotes = field(factory=LeaseNotes, init=False)
    """The notes of this process alone: a home may be shared, or copied with the process that uses it."""
    _cycle: int = field(default=0, init=False)
    _confirmed_in: int = field(default=-1, init=False)
    """The cycle in which the last confirmed heartbeat was sent."""
    _refusal: StoreProblem | None = field(default=None, init=False)
    _refused_in: int = field(default=-1, init=False)
    """The cycle in which `confirm` got no answer."""
    _lock: Lock = field(factory=Lock, init=False)
    _confirming: Lock = field(factory=Lock, init=False)

    @property
    def epoch(self) -> int:
        """The epoch that is held. Raises `LeaseLost` if none is."""
        if self._held is None:
            raise LeaseLost(f"This process does not hold the lease of {self.identity.system}.")
        return self._held.lease.epoch

    def may_write(self) -> bool:
        """Return whether this process may still write in the system's name."""
        held = self._held
        return held is not None and held.may_write(self._now(held))

    def require(self) -> None:
        """Raise `LeaseLost` unless this process may act now."""
        if not self.may_write():
            raise LeaseLost(f"The lease of {self.identity.system} could not be renewed in time.")

    def begin_cycle(self) -> None:
        """Begin a cycle: earlier confirmations no longer count for `confirm`."""
        self._cycle += 1

    def confirm(self) -> None:
        """Make sure, right before acting on the scheduler or the home, that the lease is still held.

        Sends a heartbeat at the first call in a cycle, and again after `CONFIRMED_FOR_S`. Raises
        `LeaseLost`, or the error that kept the store from answering; in that case, the store is not
        asked again in this cycle.
        """
        with self._confirming:
            if self._refusal is not None and self._refused_in == self._cycle:
                raise self._refusal
            if not self._is_confirmed():
                self._confirm_heartbeat()
        self.require()

    def _is_confirmed(self) -> bool:
        held = self._held
        is_fresh = held is not None and self.clock.elapsed() - held.sent_at < CONFIRMED_FOR_S
        return is_fresh and self._confirmed_in == self._cycle

    def _confirm_heartbeat(self) -> None:
        try:
            self.send_heartbeat()
        except StoreProblem as error:
            self._refusal, self._refused_in = error, self._cycle
            raise

    @property
    def is_store_weak(self) -> bool:
        """Return whether the store is known to ignore conditions."""
        return self.store_check is not None and self.store_check.is_weak

    def look_again(self) -> None:
        """Read the lease with one GET; raise `LeaseLost` if another process has taken it.

        Needed for a store on which no condition stops the writes of a former holder.
        """
        self.epoch  # noqa: B018 (raises)
        seen = self.registry.newest_lease(self.identity.system)
        if seen is not None and not self._own.wrote(seen.lease):
            with self._lock:
                self._held = None
            raise LeaseLost(f"Another agent has taken the lease of {self.identity.system}.")

    def is_lapsed(self) -> bool:
        """Return whether the lease must be taken again."""
        held = self._held
        return held is None or held.is_lapsed(self._now(held))

    def doubt(self) -> str:
        """Return why this home must start no jobs until a person confirms it; empty if it may."""
        return self.memory.doubt()

    # Taking --------------------------------------------------------------------------------------

    def acquire(self, check_store: Callable[[], object] = lambda: None) -> LeaseWait | None:
        """Try once to take the lease; return None if it is held now, otherwise the lease of its holder.

        A waiter repeats the call, as it needs two looks a whole time to live apart. *check_store* is
        called when the lease may be taken, before anything is written for it.
        """
        with self._lock:  # a heartbeat still under way must not restore the old epoch
            self._held = None
        remembered = self.memory.notes()  # read first: another process may write a newer lease afterwards
        asked_at = self.clock.elapsed()
        seen = self.registry.newest_lease(self.identity.system)
        if seen is not None and not self._may_succeed(seen, asked_at):
            return LeaseWait(seen.lease, seen.age_s)
        if seen is not None:
            self.store_check = StoreCheck.parse(seen.lease.store_check)
        check_store()
        return self._take(seen, remembered)

    def _take(self, seen: SeenLease | None, remembered: LeaseNotes) -> LeaseWait | None:
        lease, self._watch = None if seen is None else seen.lease, None
        self._raise_doubt(lease, remembered)
        sent = self._sending(self._first(max(0 if lease is None else lease.epoch, remembered.epoch) + 1))
        try:
            self._held = self._taken(sent, seen)
        except LeaseLost:
            seen = self.registry.newest_lease(self.identity.system)
            return LeaseWait(sent.lease, 0.0) if seen is None else LeaseWait(seen.lease, seen.age_s)
        return None

    def _raise_doubt(self, lease: Lease | None, remembered: LeaseNotes) -> None:
        """Note, before the lease is taken, why this home must start no job."""
        system = self.identity.system
        if remembered.has_newer_than(lease, self.home()) and not self.is_store_weak:
            self._doubt_bucket(lease, why_older(system, lease, remembered.epoch))
        elif lease is not None and self._is_of_a_copy(lease):
            self.memory.raise_doubt(why_copied(system, lease.process.host))
        elif lease is not None and remembered.must_doubt(lease):
            self._doubt_bucket(lease, why_doubted_before(system, lease.process.host))

    def _has_newer_than(self, lease: Lease) -> bool:
        """Return whether this home wrote a newer lease, so that the store must refuse to replace *lease*."""
        with suppress(WorkspaceProblem):
            return not self.is_store_weak and self.memory.notes().has_newer_than(lease, self._home)
        return False

    def _doubt_bucket(self, lease: Lease | None, reason: str) -> None:
        """Note that the bucket went back to an older state; the next holder learns it from the lease."""
        doubt = lease.bucket_doubt if lease is not None else ""
        self.memory.raise_doubt(reason)
        self.memory.keep(evolve(self.memory.notes(), bucket_doubt=doubt or self.ids.nonce()))

    def _taken(self, sent: SentLease, seen: SeenLease | None) -> HeldLease:
        try:
            return self._confirmed(sent, self.registry.take_lease(self.identity.system, sent.lease, seen))
        except OutcomeUnknown:
            return self._read_back((sent,), "" if seen is None else seen.etag)
        except LeaseLost:
            self._note(lambda notes: notes.without(sent.lease.nonce))
            raise

    def _is_of_a_copy(self, holder: Lease) -> bool:
        """Return whether a home with this home's id held the lease and wrote what this home never sent."""
        return holder.home == self.home() and not self.memory.notes().knows(holder)

    def _first(self, epoch: int) -> Lease:
        me, self._home = self.identity, self.home()
        return Lease(
            epoch=epoch,
            process=me.process,
            nonce=self.ids.nonce(),
            version=me.version,
            profile=me.profile,
            offer=me.offer,
            last_error=self.last_error,
            since=self.clock.now(),
        )

    def _may_succeed(self, seen: SeenLease, asked_at: float) -> bool:
        """Return whether the lease *seen*, read after *asked_at*, perhaps long before now, may be taken.

        A released lease that names this home's id, but whose nonce is not noted here, is waited for
        like any other: a network file system that caches names may not show the note yet.
        """
        holder, now = seen.lease, self.clock.elapsed()
        if holder.released and not self._is_of_a_copy(holder):
            return True
        if not holder.released and self._holder_is_gone(holder):
            return True
        if self.one_shot:
            return is_stale_by_store_clock(holder, seen.age_s)
        if self._watch is None:
            self._watch = Watch(holder.epoch, holder.nonce, now)
        dead = self._watch.shows_a_dead_holder(holder, asked_at)
        self._watch = self._watch.continued(holder, now)
        return dead

    def _holder_is_gone(self, holder: Lease) -> bool:
        """Return whether the process that wrote the lease from this home has ended.

        That a process looks like one of this machine proves nothing: a copied machine has the same
        boot id and the same processes. But what it wrote after the copy is not noted here.
        """
        mine = self.identity.process
        if holder.process == mine:
            return self._own.wrote(holder)  # this very process, whose epoch lapsed: it takes the next one
        if not mine.shares_process_table_with(holder.process) or not self.is_process_gone(holder.process):
            return False
        with suppress(WorkspaceProblem):
            return self.memory.notes().wrote(holder)
        return False

    # Holding -------------------------------------------------------------------------------------

    def send_heartbeat_if_due(self) -> None:
        """Send the next heartbeat if it is due."""
        held = self._held
        if held is not None and held.heartbeat_is_due(self.clock.elapsed()):
            self.send_heartbeat()

    def send_heartbeat(self) -> None:
        """Send a heartbeat; once it is confirmed, the time to live counts from before it was sent.

        A heartbeat that is confirmed after the lease lapsed came too late: a waiter may have seen the
        previous one for a whole time to live, and may already act. Raises `LeaseLost` if another
        process holds the lease.
        """
        with self._lock:
            held, cycle = self._held, self._cycle
            if held is None or held.is_lapsed(self._now(held)):
                return
            try:
                confirmed = self._heartbeat_sent(held)
            except LeaseLost:
                self._held = None
                raise
            if not held.is_lapsed(self._now(held)):
                self._held, self._confirmed_in = confirmed, cycle

    def release(self) -> None:
        """Give the lease back, so that the next process need not wait."""
        with self._lock:
            held, self._held = self._held, None  # before a successor can see it
            if held is not None and held.may_write(self._now(held)):
                last = self._sending(held.lease.beaten(self.ids.nonce(), self.last_error, released=True))
                self._confirmed(
                    last, self.registry.send_heartbeat(self.identity.system, last.lease, held.etag)
                )

    def _heartbeat_sent(self, held: HeldLease) -> HeldLease:
        """Send the next heartbeat; return the lease that is then held.

        A refusal counts at once if every earlier attempt was answered, whatever nonce is in the store:
        a copy of this process may draw the same nonces. A heartbeat that the store accepts, although a
        twin of this process wrote a newer lease from this home, shows that the bucket went back.
        """
        went_back = self._has_newer_than(held.lease)
        sent = self._sending(held.lease.beaten(self.ids.nonce(), self.last_error, busy=self.busy))
        unanswered = held.unanswered
        try:
            etag = self.registry.send_heartbeat(self.identity.system, sent.lease, held.etag)
            if went_back:
                self._doubt_bucket(held.lease, why_older(self.identity.system, held.lease, held.lease.epoch))
            return self._confirmed(sent, etag)
        except OutcomeUnknown:
            unanswered = (*unanswered, sent)
            self._held = evolve(held, unanswered=unanswered)
        except LeaseLost:
            self._note(lambda notes: notes.without(sent.lease.nonce))
            if not unanswered:
                raise
        return self._read_back(unanswered, held.etag)

    def _read_back(self, attempts: tuple[SentLease, ...], before: str) -> HeldLease:
        """Return which of *attempts* is in the store; *before* is the ETag of the lease it replaced."""
        seen = self.registry.newest_lease(self.identity.system)
        for sent in attempts:
            if seen is not None and seen.lease.nonce == sent.lease.nonce:
                return self._confirmed(sent, seen.etag)
        if before == ("" if seen is None else seen.etag):
            raise OutcomeUnknown(
                f"The store did not confirm whether the lease of {self.identity.system} was written."
            )
        raise LeaseLost(f"Another agent has taken the lease of {self.identity.system}.")

    def _sending(self, lease: Lease) -> SentLease:
        """Note the nonce of a lease that is about to be sent, and return what to send.

        If the nonce could not be noted, the lease names no home; otherwise the next process would take
        this home for a copy.
        """
        check = "" if self.store_check is None else str(self.store_check)
        notes = self._note(lambda notes: notes.sending(lease.nonce))
        lease = evolve(lease, store_check=check, home="" if notes is None else self._home)
        if notes is not None:
            lease = evolve(lease, bucket_doubt=notes.bucket_doubt)
        return SentLease(lease, self.clock.elapsed(), self.store_time.mark())

    def _confirmed(self, sent: SentLease, etag: str) -> HeldLease:
        """Note that the store has *sent* under *etag*, and return the lease as held."""
        self._note(lambda notes: notes.with_confirmed(sent.lease))
        return HeldLease.confirmed(sent, etag)

    def _note(self, change: Callable[[LeaseNotes], LeaseNotes]) -> LeaseNotes | None:
        """Change the notes of this process and of the home; return the home's, if they could be kept."""
        self._own = change(self._own)
        with suppress(WorkspaceProblem):
            notes = change(self.memory.notes())
            self.memory.keep(notes)
            return notes
        return None

    def _now(self, held: HeldLease) -> float:
        """Return the time by which *held* is judged: our own clock, plus any time for which it stopped."""
        unseen_s = self.store_time.passed_unseen_s(held.mark) - SKEW_TOLERATED * held.lease.time_to_live_s
        return self.clock.elapsed() + max(0.0, unseen_s)
