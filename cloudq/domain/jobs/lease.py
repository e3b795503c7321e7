"""Which process acts for a system (protocol section 6): records and the rules that judge them.

Times on one's own machine are seconds of a clock that runs through suspends; nobody compares
two machines' clocks.
"""

from __future__ import annotations

from datetime import datetime

from attrs import evolve, frozen

TIME_TO_LIVE_S = 180.0
BEAT_EVERY = 1 / 3
WRITE_UNTIL = 1 / 2
RETRY_BEAT_S = 5.0
SKEW_TOLERATED = 1 / 12
"""Of the time to live: how far the clocks of a store's front ends may be apart, 15 s."""
MAX_NONCES = 64
"""More than the heartbeats that may be sent without an answer until the lease has lapsed."""
MAX_SETTLED = 8
MAX_REFUSED = 8


@frozen
class ProcessIdentity:
    """A process that cannot be taken for another one.

    ``boot_id`` changes with each boot, ``pid_namespace`` tells containers of one machine apart,
    ``started`` tells two processes with one pid apart.
    """

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    started: str

    def shares_process_table_with(self, other: ProcessIdentity) -> bool:
        """Whether the one could see the other's process if it were alive."""
        mine = (self.host, self.boot_id, self.pid_namespace)
        return mine == (other.host, other.boot_id, other.pid_namespace)


@frozen
class OfferedResource:
    """A resource that meta jobs may ask for; at most *max_n* of it, if that is known."""

    name: str
    max_n: int | None = None


@frozen
class Offer:
    """What a system says of itself to clients."""

    scheduler: str
    unpinned: bool = True
    handicap_s: float = 0.0
    slots: int | None = None
    meta: bool = False
    """Whether its agent knows meta jobscripts at all."""
    resources: tuple[OfferedResource, ...] = ()
    any_resource: bool = False
    """Whether a job that is submitted to it may ask for a resource that is not among these."""
    max_n: int | None = None
    """Of any resource that has no limit of its own."""
    walltime: bool = True
    """Whether a job may ask for a time limit."""
    max_walltime_s: int | None = None
    array_lists: bool = True
    array_running: bool = True
    containers: bool = True


@frozen
class Lease:
    """The beat of one epoch; created once, then rewritten only by its holder."""

    epoch: int
    process: ProcessIdentity
    nonce: str
    """Fresh in every beat: two looks that see the same nonce saw no beat in between."""
    version: str
    profile: str
    offer: Offer
    store_check: str = ""
    last_error: str = ""
    busy: str = ""
    """What goes on in the holder's background, in words for people."""
    time_to_live_s: float = TIME_TO_LIVE_S
    released: bool = False
    home: str = ""
    """The id of the holder's home; empty if the nonce could not be noted there."""
    bucket_doubt: str = ""
    """The id of the doubt, while there is one in the holder's home, whether the bucket went back."""
    since: datetime | None = None
    """When the epoch was created, by its holder's clock: for people."""
    format: str = "1.0"

    def beaten(self, nonce: str, last_error: str = "", *, busy: str = "", released: bool = False) -> Lease:
        """The next beat of the same epoch."""
        return evolve(self, nonce=nonce, last_error=last_error, busy=busy, released=released)


@frozen
class SentLease:
    """A lease on its way to the store."""

    lease: Lease
    at: float
    """Own clock, seconds, read *before* it was sent."""
    mark: float | None = None
    """How far the store's clock was ahead of the own one then (`StoreTime.mark`)."""


@frozen
class HeldLease:
    """What the holder knows: its epoch and when it sent the last heartbeat that was confirmed."""

    lease: Lease
    sent_at: float
    """Own clock, seconds, read *before* the confirmed heartbeat was sent."""
    etag: str = ""
    """What the next heartbeat must match."""
    mark: float | None = None
    """`SentLease.mark` of the confirmed heartbeat."""
    unanswered: tuple[SentLease, ...] = ()
    """Heartbeats sent since, each of which may have been written."""

    @classmethod
    def confirmed(cls, sent: SentLease, etag: str) -> HeldLease:
        """What is held once the store has *sent* under *etag*."""
        return cls(sent.lease, sent.at, etag, sent.mark)

    def may_write(self, now: float) -> bool:
        """Whether anything may still be written in the system's name."""
        return now - self.sent_at < self.lease.time_to_live_s * WRITE_UNTIL

    def is_lapsed(self, now: float) -> bool:
        """Whether another process may have taken over; a lapsed epoch is never resumed."""
        return now - self.sent_at >= self.lease.time_to_live_s

    def beat_is_due(self, now: float) -> bool:
        """Whether the next beat should be sent."""
        return now - self.sent_at >= self.lease.time_to_live_s * BEAT_EVERY


@frozen
class LeaseNotes:
    """What a home remembers of the lease from one process to the next."""

    epoch: int = 0
    """The newest epoch that was held from this home."""
    nonces: tuple[str, ...] = ()
    """Of the last leases that were written from this home, in order, each noted before it was sent."""
    confirmed: str = ""
    """The nonce of the last one that the store confirmed."""
    bucket_doubt: str = ""
    """The id of the doubt whether the bucket went back; empty without one."""
    settled: tuple[str, ...] = ()
    """The ids of such doubts that a person has settled here."""
    refused: tuple[str, ...] = ()
    """The nonces of leases that were sent from here and that the store refused, the last ones."""

    def sending(self, nonce: str) -> LeaseNotes:
        """The notes with one more nonce; the oldest are dropped."""
        return evolve(self, nonces=(*self.nonces, nonce)[-MAX_NONCES:])

    def without(self, nonce: str) -> LeaseNotes:
        """The notes without a nonce that another process wrote, as the store says."""
        left = tuple(each for each in self.nonces if each != nonce)
        return evolve(self, nonces=left, refused=(*self.refused, nonce)[-MAX_REFUSED:])

    def with_confirmed(self, lease: Lease) -> LeaseNotes:
        """The notes once the store has *lease*, which was sent from this home."""
        return evolve(self, epoch=max(self.epoch, lease.epoch), confirmed=lease.nonce)

    def after_confirmation(self, standing: Lease | None) -> LeaseNotes:
        """The notes once a person has said that all is well, while the *standing* lease is in the bucket."""
        nonces, doubts = ((), "") if standing is None else ((standing.nonce,), standing.bucket_doubt)
        settled = (*self.settled, *filter(None, (self.bucket_doubt, doubts)))
        return LeaseNotes(nonces=nonces, settled=settled[-MAX_SETTLED:])

    def wrote(self, lease: Lease) -> bool:
        """Whether *lease* was written from this home."""
        return lease.nonce in self.nonces

    def knows(self, lease: Lease) -> bool:
        """Whether *lease* was sent from this home, even if the store refused it.

        A gateway that asks its store again may refuse what it has written.
        """
        return lease.nonce in (*self.nonces, *self.refused)

    def must_doubt(self, lease: Lease) -> bool:
        """Whether the holder of *lease* doubts the bucket, and no person has settled that here."""
        return bool(lease.bucket_doubt) and lease.bucket_doubt not in (*self.settled, self.bucket_doubt)

    def has_newer_than(self, lease: Lease | None, home: str) -> bool:
        """Whether *home*, whose notes these are, wrote a newer lease than *lease*: then the bucket went back.

        *lease* was read after the notes. Leases follow each other in the order in which their nonces
        are noted; an epoch that was held from here is nobody else's.
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
    """What a waiter has seen of the holder: the same beat since *since* on its own clock."""

    epoch: int
    nonce: str
    since: float

    def continued(self, seen: Lease, now: float) -> Watch:
        """The watch after another successful look."""
        if (seen.epoch, seen.nonce) == (self.epoch, self.nonce):
            return self
        return Watch(seen.epoch, seen.nonce, now)

    def shows_a_dead_holder(self, seen: Lease, now: float) -> bool:
        """Whether two looks a whole time to live apart saw the same beat."""
        unchanged = (seen.epoch, seen.nonce) == (self.epoch, self.nonce)
        return unchanged and now - self.since >= seen.time_to_live_s


def is_stale_by_store_clock(lease: Lease, age_s: float, *, times: float = 2.0) -> bool:
    """Whether the last beat is older, by the store's clock, than *times* its time to live."""
    return age_s > times * lease.time_to_live_s


def is_presumed_dead(age_s: float, time_to_live_s: float = TIME_TO_LIVE_S) -> bool:
    """Whether clients should warn that the agent is not running."""
    return age_s > time_to_live_s


def why_older(system: str, found: Lease | None, remembered: int) -> str:
    """Why a home that held epoch *remembered* starts no job where it *found* an older lease, or none."""
    if found is None:
        what = f"is not there, but this home held epoch {remembered}"
    elif found.epoch < remembered:
        what = f"has epoch {found.epoch}, but this home held epoch {remembered}"
    else:
        what = "is an older one than this home wrote last"
    return f"the lease of {system} in the bucket {what}: {_WENT_BACK}"


def why_doubted_before(system: str, host: str) -> str:
    """Why a home starts no job after the agent before it, on *host*, found that the bucket went back."""
    return (
        f"the agent that held the lease of {system} before, on {host}, found an older lease in the bucket "
        f"than its home wrote, or none: {_WENT_BACK}"
    )


_WENT_BACK = (
    "the bucket was restored from a backup, emptied, or a lifecycle rule deleted the lease. It may offer "
    "jobs that have run already. Jobs under way are followed; no job is started until you have looked at "
    "the bucket and confirm it with: cloudqd --confirm"
)


def why_copied(system: str, host: str) -> str:
    """Why a home starts no job after another one with its id held the lease, on *host*."""
    return (
        f"the lease of {system} was last renewed on {host} from a home with the id of this one, which knows "
        "nothing of it: one of the two is a copy. Jobs under way are followed; no job is started. If the "
        "other one is gone for good, confirm this one with: cloudqd --confirm. If this one is the copy, give "
        "it an identity of its own with: cloudqd --new-home"
    )
