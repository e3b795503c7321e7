"""The lease, which names the process that acts for a system (protocol section 6): records and rules.

Times on the local machine are seconds of a clock that continues during suspends; the clocks of two machines
are never compared.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from attrs import evolve, frozen

TIME_TO_LIVE_S = 180.0
BEAT_EVERY = 1 / 3
WRITE_UNTIL = 1 / 2
RETRY_HEARTBEAT_S = 5.0
SKEW_TOLERATED = 1 / 12
"""How far the clocks of a store's front ends may differ, as a part of the time to live: 15 s."""
MAX_NONCES = 64
"""More than the number of heartbeats that may be sent without an answer before the lease lapses."""
MAX_SETTLED = 8
MAX_REFUSED = 8


@frozen
class ProcessIdentity:
    """A process that cannot be mistaken for another one.

    ``boot_id`` changes with each boot, ``pid_namespace`` distinguishes containers of one machine, and
    ``started`` distinguishes two processes with the same pid.
    """

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    started: str

    def shares_process_table_with(self, other: ProcessIdentity) -> bool:
        """Return whether one process could see the other if it were alive."""
        mine = (self.host, self.boot_id, self.pid_namespace)
        return mine == (other.host, other.boot_id, other.pid_namespace)


@frozen
class OfferedResource:
    """A resource for which meta jobs may ask; *max_n* is the most that a job may have, if known."""

    name: str
    max_n: int | None = None


@frozen
class Offer:
    """The offer of a system to clients."""

    scheduler: str
    unpinned: bool = True
    handicap_s: float = 0.0
    slots: int | None = None
    meta: bool = False
    """Whether the agent supports meta jobscripts at all."""
    resources: tuple[OfferedResource, ...] = ()
    any_resource: bool = False
    """Whether a job that is submitted to the system may ask for a resource that is not among these."""
    max_n: int | None = None
    """The limit for any resource that does not have another one."""
    walltime: bool = True
    """Whether a job may ask for a time limit."""
    max_walltime_s: int | None = None
    array_lists: bool = True
    array_running: bool = True
    containers: bool = True


@frozen
class Lease:
    """The lease of one epoch; created once, then rewritten only by its holder, with each heartbeat."""

    epoch: int
    process: ProcessIdentity
    nonce: str
    """New in every heartbeat: two looks that see the same nonce saw no heartbeat in between."""
    version: str
    profile: str
    offer: Offer
    store_check: str = ""
    last_error: str = ""
    busy: str = ""
    """The current background work of the holder, in words for people."""
    time_to_live_s: float = TIME_TO_LIVE_S
    released: bool = False
    home: str = ""
    """The id of the holder's home; empty if the nonce could not be noted there."""
    bucket_doubt: str = ""
    """The id of the doubt whether the bucket went back to an older state, while the holder's home has one."""
    since: datetime | None = None
    """The time at which the epoch was created, by its holder's clock; for people."""
    format: str = "1.0"

    def beaten(self, nonce: str, last_error: str = "", *, busy: str = "", released: bool = False) -> Lease:
        """Return the lease for the next heartbeat of the same epoch."""
        return evolve(self, nonce=nonce, last_error=last_error, busy=busy, released=released)


@frozen
class SentLease:
    """A lease on its way to the store."""

    lease: Lease
    at: float
    """The sender's clock, in seconds, read *before* the lease was sent."""
    mark: float | None = None
    """How far the store's clock was ahead of the sender's clock at that time (`StoreTime.mark`)."""


@frozen
class HeldLease:
    """The holder's view of its lease: the epoch, and when the last confirmed heartbeat was sent."""

    lease: Lease
    sent_at: float
    """The holder's clock, in seconds, read *before* the confirmed heartbeat was sent."""
    etag: str = ""
    """The ETag that the next heartbeat must match."""
    mark: float | None = None
    """The `SentLease.mark` of the confirmed heartbeat."""
    unanswered: tuple[SentLease, ...] = ()
    """Heartbeats that were sent since then, each of which may have been written."""

    @classmethod
    def confirmed(cls, sent: SentLease, etag: str) -> HeldLease:
        """Return the held lease after the store confirmed *sent* under *etag*."""
        return cls(sent.lease, sent.at, etag, sent.mark)

    def may_write(self, now: float) -> bool:
        """Return whether anything may still be written in the system's name."""
        return now - self.sent_at < self.lease.time_to_live_s * WRITE_UNTIL

    def is_lapsed(self, now: float) -> bool:
        """Return whether another process may have taken over; a lapsed epoch is never resumed."""
        return now - self.sent_at >= self.lease.time_to_live_s

    def heartbeat_is_due(self, now: float) -> bool:
        """Return whether the next heartbeat should be sent."""
        return now - self.sent_at >= self.lease.time_to_live_s * BEAT_EVERY


@frozen
class LeaseNotes:
    """The notes about the lease that a home keeps from one process to the next."""

    epoch: int = 0
    """The newest epoch that was held from this home."""
    nonces: tuple[str, ...] = ()
    """The nonces of the last leases written from this home, in order, each noted before it was sent."""
    confirmed: str = ""
    """The nonce of the last lease that the store confirmed."""
    bucket_doubt: str = ""
    """The id of the doubt whether the bucket went back to an older state; empty without a doubt."""
    settled: tuple[str, ...] = ()
    """The ids of such doubts that a person has settled here."""
    refused: tuple[str, ...] = ()
    """The nonces of the last leases that were sent from here and that the store refused."""

    def sending(self, nonce: str) -> LeaseNotes:
        """Return the notes with one more nonce; the oldest are dropped."""
        return evolve(self, nonces=(*self.nonces, nonce)[-MAX_NONCES:])

    def without(self, nonce: str) -> LeaseNotes:
        """Return the notes without *nonce*, after the store answered that another process wrote the lease."""
        left = tuple(other for other in self.nonces if other != nonce)
        return evolve(self, nonces=left, refused=(*self.refused, nonce)[-MAX_REFUSED:])

    def with_confirmed(self, lease: Lease) -> LeaseNotes:
        """Return the notes after the store confirmed *lease*, which was sent from this home."""
        return evolve(self, epoch=max(self.epoch, lease.epoch), confirmed=lease.nonce)

    def after_confirmation(self, standing: Lease | None) -> LeaseNotes:
        """Return the notes after a person confirmed the home, while the *standing* lease is in the bucket."""
        nonces, doubts = ((), "") if standing is None else ((standing.nonce,), standing.bucket_doubt)
        settled = (*self.settled, *filter(None, (self.bucket_doubt, doubts)))
        return LeaseNotes(nonces=nonces, settled=settled[-MAX_SETTLED:])

    def wrote(self, lease: Lease) -> bool:
        """Return whether *lease* was written from this home."""
        return lease.nonce in self.nonces

    def knows(self, lease: Lease) -> bool:
        """Return whether *lease* was sent from this home, even if the store refused it.

        A gateway that repeats a request to its store may refuse what the store has written.
        """
        return lease.nonce in (*self.nonces, *self.refused)

    def must_doubt(self, lease: Lease) -> bool:
        """Return whether *lease* carries a doubt about the bucket that is neither settled nor shared here."""
        return bool(lease.bucket_doubt) and lease.bucket_doubt not in (*self.settled, self.bucket_doubt)

    def has_newer_than(self, lease: Lease | None, home: str) -> bool:
        """Return whether *home*, which keeps these notes, wrote a newer lease than *lease*.

        If so, the bucket went back to an older state. *lease* was read after the notes. Leases follow each
        other in the order in which their nonces are noted, and an epoch that was held from this home
        belongs to no other home.
        """
        if lease is None or lease.epoch < self.epoch:
            return self.epoch > 0
        if lease.epoch > self.epoch:
            return False
        position = {nonce: number for number, nonce in enumerate(self.nonces)}
        is_older = position.get(lease.nonce, MAX_NONCES) < position.get(self.confirmed, 0)
        return is_older or lease.home not in {"", home}


@frozen
class Watch:
    """A waiter's observation of the holder: the same heartbeat since *since* on the waiter's clock."""

    epoch: int
    nonce: str
    since: float

    def continued(self, seen: Lease, now: float) -> Watch:
        """Return the watch after another successful look."""
        if (seen.epoch, seen.nonce) == (self.epoch, self.nonce):
            return self
        return Watch(seen.epoch, seen.nonce, now)

    def shows_a_dead_holder(self, seen: Lease, now: float) -> bool:
        """Return whether two looks that are a whole time to live apart saw the same heartbeat."""
        unchanged = (seen.epoch, seen.nonce) == (self.epoch, self.nonce)
        return unchanged and now - self.since >= seen.time_to_live_s


def is_stale_by_store_clock(lease: Lease, age_s: float, *, times: float = 2.0) -> bool:
    """Return whether the last heartbeat is older, by the store's clock, than *times* its time to live."""
    return age_s > times * lease.time_to_live_s


class AgentState(Enum):
    """The state of a system's agent, as others see it."""

    ALIVE = "alive"
    AWAY = "away"
    """It has not reported for longer than its time to live."""
    STOPPED = "stopped"
    """It ended on purpose and released its lease."""
    UNKNOWN = "unknown"
    """Its report cannot be read."""

    @classmethod
    def of(cls, lease: Lease, age_s: float) -> AgentState:
        """Return the state of the agent that wrote *lease* *age_s* seconds ago, by the store's clock."""
        if lease.released:
            return cls.STOPPED
        return cls.AWAY if age_s > lease.time_to_live_s else cls.ALIVE


def why_older(system: str, lease: Lease | None, remembered: int) -> str:
    """Return why a home that held epoch *remembered* starts no job: *lease* is older, or missing."""
    if lease is None:
        what = f"is missing, but this home held epoch {remembered}"
    elif lease.epoch < remembered:
        what = f"has epoch {lease.epoch}, but this home held epoch {remembered}"
    else:
        what = "is older than the last one that this home wrote"
    return f"the lease of {system} in the bucket {what}: {_WENT_BACK}"


def why_doubted_before(system: str, host: str) -> str:
    """Return why a home starts no job after its predecessor, on *host*, found that the bucket went back."""
    return (
        f"the previous holder of the lease of {system}, on {host}, found no lease in the bucket, or an older "
        f"one than its home wrote: {_WENT_BACK}"
    )


_WENT_BACK = (
    "the bucket was emptied or restored from a backup, or a lifecycle rule deleted the lease. It may offer "
    "jobs that already ran. Unfinished jobs are followed; no job is started until you check the bucket "
    "and confirm this home"
)


def why_copied(system: str, host: str) -> str:
    """Return why a home starts no job after another home with its id held the lease, on *host*."""
    return (
        f"the lease of {system} was last renewed on {host} by another home with the same id as this one: one "
        "of the two is a copy. Unfinished jobs are followed; no job is started. If the other home no longer "
        "exists, confirm this one. If this one is the copy, give it a new identity"
    )
