"""What an agent knows in memory of the jobs it holds or was invited to.

Nothing here is needed to go on after a crash: the bucket and the workspace tell it all again.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Hashable, Iterator
from enum import Enum

from attrs import define, field, frozen

from cloudq.application.agent.permit import Permit
from cloudq.domain.jobs.job import Job, StoredJob
from cloudq.domain.jobs.task_states import TaskState
from cloudq.domain.names import ClaimTag
from cloudq.ports.job_repository import TaskRequest
from cloudq.ports.workers import Lane, Started
from cloudq.ports.workspace import NO_OUTPUT, ClaimSpace, PackedOutput, SpaceOwner

MAX_RECENT_WAITS = 20
MAX_OTHERS_TOOK = 1_000


class Cancel(Enum):
    """How far a cancel has come."""

    NONE = "none"
    REQUESTED = "requested"
    ACCEPTED = "accepted"


@frozen
class StagedOut:
    """What a stage-out brought into the bucket."""

    packed: PackedOutput = NO_OUTPUT
    is_out_of_sight: bool = False
    """Whether nothing was brought because another home holds it."""
    has_lost_outputs: bool = False
    """Whether its work directory was removed before its outputs could be brought."""


@frozen(eq=False)
class UnderWay:
    """Work that goes on for a held job in the background."""

    held: HeldJob
    job: Job
    """Its record when the work began."""
    lane: Lane
    permit: Permit
    started: Started[HeldJob]
    """Its result: a copy of *held* with what the work found out. See `HeldJob.take_over`."""


@define(eq=False)
class Retried:
    """Something that is left alone for a while after it went wrong."""

    note: str = field(default="", init=False)
    """Why it waits, in words for its owner."""
    retry_at: float = field(default=0.0, init=False)
    """Own clock: not before."""
    retries: int = field(default=0, init=False)

    def back_off(self, now: float, note: str, *, first_s: float = 5.0, longest_s: float = 600.0) -> None:
        """Leave it alone for a while, twice as long each time."""
        self.note = note
        self.retry_at = now + min(longest_s, first_s * 2.0**self.retries)
        self.retries = min(self.retries + 1, 20)

    def recovered(self) -> None:
        """What was tried worked."""
        self.note, self.retry_at, self.retries = "", 0.0, 0


@define(eq=False)
class Shipping:
    """A turn of bringing a job's growing logs into the bucket, in the background."""

    permit: Permit
    offsets: dict[tuple[str, int | None], int]
    """How far each stream is in the bucket: written by the work, taken over once it ended."""
    has_put: bool = field(default=False, init=False)
    is_behind: bool = field(default=False, init=False)
    """Whether the turn was over before all there was had been brought."""
    started: Started[None] = field(init=False)


@define(eq=False)
class HeldJob(Retried):
    """A job that this system's newest ``run`` claim holds."""

    tag: ClaimTag
    stored: StoredJob
    """The record as it is in the bucket."""
    job: Job
    """The record as it should be."""
    space: ClaimSpace
    claim_nonce: str = ""
    is_newly_claimed: bool = False
    """Whether its record has not been seen since this process made the claim."""
    is_elsewhere: bool = False
    """Its work directory is under another home: followed, never submitted."""
    local_ids: tuple[str, ...] = ()
    """All local jobs known under the tag, the one to follow first."""
    cancel: Cancel = Cancel.NONE
    canceled_at: float = 0.0
    canceled_tasks: dict[int, float] = field(factory=dict)
    """Own clock: when the scheduler last accepted to end these tasks, which were canceled singly."""
    missed: bool = True
    """Whether a first miss may be noted in its space."""
    fingerprint: Hashable = None
    judged: Hashable = None
    """What its state was last concluded from; None if it must be concluded anew."""
    judged_at: float = 0.0
    end: TaskState | None = None
    """Decided, not yet staged out."""
    hand_over: UnderWay | None = None
    """Its preparation or submission in the background."""
    has_big_input: bool = False
    """Whether its input was found to be bigger than its record says."""
    permit: Permit | None = None
    """Of a copy that background work has: what that work must ask."""
    stage_out: Started[StagedOut] | None = None
    staged_out: StagedOut | None = None
    is_given_up: bool = False
    """Whether its owner wants it to end without its outputs."""
    failed_stage_outs: int = 0
    """For other reasons than the store's, or the lease's."""
    is_looked_for: bool = False
    """Whether the scheduler was asked once, and must be again, for a submission without a trace."""
    written_at: float = 0.0
    followed_until: float = 0.0
    has_lost_its_marker: bool = False
    log_offsets: dict[tuple[str, int | None], int] = field(factory=dict)
    may_have_log_pieces: bool = False
    """Whether pieces of its logs may be in the bucket, also of agents before this one."""
    shipping: Shipping | None = None
    is_log_behind: bool = False
    """Whether its logs grow faster than they are brought."""
    log_trouble: Retried = field(factory=Retried)
    """Logs that cannot be brought hold up nothing else."""
    files_missing_since: float | None = None
    """Own clock: when the files of a job that was handed over were first not there."""
    occupied_since: float | None = None
    """Own clock: when something else was first found in the place of its work directory."""
    touched_at: float | None = None
    is_copied: bool = False
    """Whether this process has kept a copy of the record beside the job's files."""
    logs_shipped: int = 0
    logs_shipped_at: float = 0.0

    def owner(self, system: str) -> SpaceOwner:
        """Whose the job's files are, if *system* holds it."""
        return SpaceOwner(system, self.tag, self.claim_nonce)

    def copy_for(self, permit: Permit) -> HeldJob:
        """A copy for background work, which must not change what the cycle works with."""
        copied = copy.copy(self)
        copied.permit = permit
        return copied

    def take_over(self, copied: HeldJob, since: Job) -> None:
        """Take over what background work found out; of a job that is canceled only its local ids.

        The record may have been written meanwhile: it stays unless the work changed it from *since*.
        """
        self.local_ids = tuple(dict.fromkeys((*self.local_ids, *copied.local_ids)))
        if self.cancel is Cancel.NONE and self.end is None:
            self.job = self.job if copied.job is since else copied.job
            self.end, self.is_elsewhere = copied.end, copied.is_elsewhere
            self.note, self.retry_at, self.retries = copied.note, copied.retry_at, copied.retries
            self.is_looked_for = copied.is_looked_for

    @property
    def has_started(self) -> bool:
        """Whether its script is known to have started."""
        return self.job.time_start is not None

    def give_up_hand_over(self) -> None:
        """Nobody wants it submitted any more: what its background work has not begun, it never will."""
        if self.hand_over is not None:
            self.hand_over.permit.revoke()

    def give_up_shipping(self) -> None:
        """Its whole logs follow, or nobody wants them: no piece comes after the one under way."""
        if self.shipping is not None:
            self.shipping.permit.revoke()

    @property
    def is_being_submitted(self) -> bool:
        """Whether a submit command runs, or may have run since the last look."""
        return self.hand_over is not None and self.hand_over.permit.is_committed

    @property
    def is_handed_over(self) -> bool:
        """Whether a local job is known."""
        return bool(self.local_ids)


@define(eq=False)
class Invitation(Retried):
    """A marker of a job that nobody holds yet, as far as this agent knows."""

    tag: ClaimTag
    listed_age_s: float
    listed_at: float
    stored: StoredJob | None = None
    read_at: float = 0.0
    is_newly_listed: bool = True
    """Whether it was listed since it was last looked at."""
    may_be_claimed: bool = True
    """Whether a claim may stand, of a process that died or a request without an answer."""
    absent_listings: int = 0
    """Listings after which its manifest was found to be absent."""
    placement: str = ""
    """Why it is this system that takes it, in words for its owner."""

    @property
    def read_record(self) -> StoredJob:
        """The record, of an invitation that was read."""
        assert self.stored is not None  # noqa: S101 (only read invitations are chosen)
        return self.stored

    @property
    def is_pinned(self) -> bool:
        """Whether no other system was invited: by its owner, or by the one who took it back."""
        job = self.read_record.job
        return bool(job.submit_to) if self.tag.n == 1 else len(job.invited) == 1

    def age_s(self, now: float) -> float:
        """Seconds since the marker was put: the store's clock at the LIST, one's own since."""
        return self.listed_age_s + now - self.listed_at


@define(eq=False)
class Holdings:
    """All jobs an agent holds, is invited to, or must let go of."""

    held: dict[ClaimTag, HeldJob] = field(factory=dict)
    invitations: dict[ClaimTag, Invitation] = field(factory=dict)
    vanished: set[ClaimTag] = field(factory=set)
    """Invitations that were there before and that a listing did not show."""
    superseded: set[ClaimTag] = field(factory=set)
    """Claims of this system that a newer claim replaced, until nothing of theirs lives."""
    withdraw: set[ClaimTag] = field(factory=set)
    """Markers to delete once the summary without them is published."""
    drop_cancels: set[ClaimTag] = field(factory=set)
    drop_follows: set[ClaimTag] = field(factory=set)
    drop_task_cancels: set[TaskRequest] = field(factory=set)
    cancel_requests: set[ClaimTag] = field(factory=set)
    task_cancel_requests: set[TaskRequest] = field(factory=set)

    recent_waits: deque[float] = field(factory=lambda: deque(maxlen=MAX_RECENT_WAITS))
    """Seconds that the last jobs waited in the scheduler's queue."""
    others_took: deque[float] = field(factory=lambda: deque(maxlen=MAX_OTHERS_TOOK))
    """Own clock: when unpinned jobs were found to be other systems'."""

    @property
    def known(self) -> set[ClaimTag]:
        """All claims that this agent is concerned with at the moment."""
        return {*self.held, *self.invitations, *self.superseded, *self.withdraw}

    def unfinished(self) -> Iterator[HeldJob]:
        """Held jobs whose end is not decided."""
        return (held for held in self.held.values() if held.end is None)

    def clear(self) -> None:
        """Forget everything: the bucket and the workspace tell it again."""
        for each in (self.held, self.invitations, self.vanished, self.superseded, self.withdraw):
            each.clear()
        for requests in (self.cancel_requests, self.drop_cancels, self.drop_follows):
            requests.clear()
        for task_requests in (self.task_cancel_requests, self.drop_task_cancels):
            task_requests.clear()

    def let_go(self, tag: ClaimTag, *, superseded: bool) -> None:
        """Hold the job no longer."""
        held = self.held.pop(tag, None)
        if held is not None:
            held.give_up_hand_over()
            held.give_up_shipping()
        if superseded:
            self.superseded.add(tag)
