"""The agent's state in memory of the jobs that it holds or is invited to.

Nothing here has to survive a crash: all of it can be read again from the bucket and the workspace.
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
    """The progress of a cancel."""

    NONE = "none"
    REQUESTED = "requested"
    ACCEPTED = "accepted"


@frozen
class StagedOut:
    """The result of a stage-out."""

    packed: PackedOutput = NO_OUTPUT
    is_out_of_sight: bool = False
    """Whether nothing was uploaded because the files are in another home."""
    has_lost_outputs: bool = False
    """Whether the work directory was removed before the outputs could be uploaded."""


@frozen(eq=False)
class UnderWay:
    """Work for a held job in the background."""

    held: HeldJob
    job: Job
    """The record of the job when the work began."""
    lane: Lane
    permit: Permit
    started: Started[HeldJob]
    """The work; its result is a copy of *held* with the findings. See `HeldJob.take_over`."""


@define(eq=False)
class Retried:
    """Something that is tried again after a pause when it fails."""

    note: str = field(default="", init=False)
    """Why it waits, as shown to the owner."""
    retry_at: float = field(default=0.0, init=False)
    """The earliest time of the next try, by this machine's clock."""
    retries: int = field(default=0, init=False)

    def back_off(self, now: float, note: str, *, first_s: float = 5.0, longest_s: float = 600.0) -> None:
        """Set the time of the next try; the pause doubles each time, up to *longest_s*."""
        self.note = note
        self.retry_at = now + min(longest_s, first_s * 2.0**self.retries)
        self.retries = min(self.retries + 1, 20)

    def recovered(self) -> None:
        """Forget earlier failures after a success."""
        self.note, self.retry_at, self.retries = "", 0.0, 0


@define(eq=False)
class Shipping:
    """One turn of the background upload of a job's growing logs."""

    permit: Permit
    offsets: dict[tuple[str, int | None], int]
    """The bytes of each stream that are in the bucket: updated by the work, taken over when it ends."""
    has_put: bool = field(default=False, init=False)
    is_behind: bool = field(default=False, init=False)
    """Whether the turn ended before everything was uploaded."""
    started: Started[None] = field(init=False)


@define(eq=False)
class HeldJob(Retried):
    """A job whose newest ``run`` claim belongs to this system."""

    tag: ClaimTag
    stored: StoredJob
    """The record as it is in the bucket."""
    job: Job
    """The record as it should be."""
    space: ClaimSpace
    claim_nonce: str = ""
    is_newly_claimed: bool = False
    """Whether this process made the claim and has not seen the record since."""
    is_elsewhere: bool = False
    """Whether its work directory is in another home: the job is followed, never submitted."""
    local_ids: tuple[str, ...] = ()
    """The known scheduler job ids of the tag; the one to follow comes first."""
    cancel: Cancel = Cancel.NONE
    canceled_at: float = 0.0
    canceled_tasks: dict[int, float] = field(factory=dict)
    """When the scheduler last accepted the cancel of each single task, by this machine's clock."""
    missed: bool = True
    """Whether a first miss may be noted in its control directory."""
    fingerprint: Hashable = None
    judged: Hashable = None
    """The evidence behind the last judgment of its state; None if the state must be judged again."""
    judged_at: float = 0.0
    end: TaskState | None = None
    """The final state, once it is decided; it is recorded after the stage-out."""
    hand_over: UnderWay | None = None
    """Its preparation or submission in the background."""
    header_lines: tuple[str, ...] | None = None
    """The header lines of its job shell; None if this process neither wrote nor read the job shell."""
    has_big_input: bool = False
    """Whether its input turned out to be bigger than its record states."""
    permit: Permit | None = None
    """The permit that background work must check; set only in the copy that it works on."""
    stage_out: Started[StagedOut] | None = None
    staged_out: StagedOut | None = None
    is_given_up: bool = False
    """Whether its owner wants it to end without its outputs."""
    failed_stage_outs: int = 0
    """The number of stage-outs that failed for reasons other than the store or the lease."""
    is_looked_for: bool = False
    """Whether the scheduler was asked once for a submission without a trace, and must be asked again."""
    written_at: float = 0.0
    followed_until: float = 0.0
    has_lost_its_marker: bool = False
    log_offsets: dict[tuple[str, int | None], int] = field(factory=dict)
    may_have_log_pieces: bool = False
    """Whether pieces of its logs may be in the bucket, including those of earlier agents."""
    shipping: Shipping | None = None
    is_log_behind: bool = False
    """Whether its logs grow faster than they are uploaded."""
    log_trouble: Retried = field(factory=Retried)
    """The back-off of log uploads, separate so that their failures delay nothing else."""
    files_missing_since: float | None = None
    """When the files of the handed-over job were first found missing, by this machine's clock."""
    occupied_since: float | None = None
    """When something else was first found in the place of its work directory, by this machine's clock."""
    touched_at: float | None = None
    is_copied: bool = False
    """Whether this process has kept a copy of the record beside the job's files."""
    logs_shipped: int = 0
    logs_shipped_at: float = 0.0

    def owner(self, system: str) -> SpaceOwner:
        """Return the owner of the job's files, if *system* holds the job."""
        return SpaceOwner(system, self.tag, self.claim_nonce)

    def copy_for(self, permit: Permit) -> HeldJob:
        """Return a copy for background work, which must not change the cycle's own object."""
        copied = copy.copy(self)
        copied.permit = permit
        return copied

    def take_over(self, copied: HeldJob, since: Job) -> None:
        """Take over the results of background work; if the job was canceled, only the scheduler job ids.

        The record stays unless the work changed it from *since*: it may have been written since then.
        """
        self.local_ids = tuple(dict.fromkeys((*self.local_ids, *copied.local_ids)))
        if self.cancel is Cancel.NONE and self.end is None:
            self.job = self.job if copied.job is since else copied.job
            self.end, self.is_elsewhere = copied.end, copied.is_elsewhere
            self.note, self.retry_at, self.retries = copied.note, copied.retry_at, copied.retries
            self.is_looked_for = copied.is_looked_for
            self.header_lines = copied.header_lines

    @property
    def has_started(self) -> bool:
        """Return whether its script is known to have started."""
        return self.job.time_start is not None

    def give_up_hand_over(self) -> None:
        """Revoke the permit of the hand-over: steps that it has not begun never begin."""
        if self.hand_over is not None:
            self.hand_over.permit.revoke()

    def give_up_shipping(self) -> None:
        """End the upload of log pieces after the one under way: the whole logs follow, or none are wanted."""
        if self.shipping is not None:
            self.shipping.permit.revoke()

    @property
    def is_being_submitted(self) -> bool:
        """Return whether a submit command runs, or may have run since results were last collected."""
        return self.hand_over is not None and self.hand_over.permit.is_committed

    @property
    def is_handed_over(self) -> bool:
        """Return whether a scheduler job id is known."""
        return bool(self.local_ids)


@define(eq=False)
class Invitation(Retried):
    """The queue entry of a job that, as far as this agent can see, has no holder yet."""

    tag: ClaimTag
    listed_age_s: float
    listed_at: float
    stored: StoredJob | None = None
    read_at: float = 0.0
    is_newly_listed: bool = True
    """Whether it was listed since the agent last looked at it."""
    may_be_claimed: bool = True
    """Whether a claim may exist, made by a process that died or by a request without an answer."""
    absent_listings: int = 0
    """The number of listings after which its manifest was found absent."""
    placement: str = ""
    """Why this system takes the job, as shown to its owner."""

    @property
    def read_record(self) -> StoredJob:
        """The record of an invitation that was read."""
        assert self.stored is not None  # noqa: S101 (only read invitations are chosen)
        return self.stored

    @property
    def is_pinned(self) -> bool:
        """Return whether no other system was invited, by the owner or by the user who took the job back."""
        job = self.read_record.job
        return bool(job.submit_to) if self.tag.n == 1 else len(job.invited) == 1

    def age_s(self, now: float) -> float:
        """Return the age of the queue entry in seconds: by the store's clock at the LIST, by ours since."""
        return self.listed_age_s + now - self.listed_at


@define(eq=False)
class Holdings:
    """The jobs that an agent holds, is invited to, or must give up."""

    held: dict[ClaimTag, HeldJob] = field(factory=dict)
    invitations: dict[ClaimTag, Invitation] = field(factory=dict)
    vanished: set[ClaimTag] = field(factory=set)
    """Earlier invitations that a listing did not show."""
    superseded: set[ClaimTag] = field(factory=set)
    """Claims of this system that a newer claim replaced, until their scheduler jobs have ended."""
    withdraw: set[ClaimTag] = field(factory=set)
    """Queue entries to delete once the summary without their jobs is published."""
    drop_cancels: set[ClaimTag] = field(factory=set)
    drop_follows: set[ClaimTag] = field(factory=set)
    drop_task_cancels: set[TaskRequest] = field(factory=set)
    cancel_requests: set[ClaimTag] = field(factory=set)
    task_cancel_requests: set[TaskRequest] = field(factory=set)

    recent_waits: deque[float] = field(factory=lambda: deque(maxlen=MAX_RECENT_WAITS))
    """The seconds that each of the last jobs waited in the scheduler's queue."""
    others_took: deque[float] = field(factory=lambda: deque(maxlen=MAX_OTHERS_TOOK))
    """When unpinned jobs were found to be claimed by other systems, by this machine's clock."""

    @property
    def known(self) -> set[ClaimTag]:
        """The claims that concern this agent at the moment."""
        return {*self.held, *self.invitations, *self.superseded, *self.withdraw}

    def unfinished(self) -> Iterator[HeldJob]:
        """Return the held jobs whose final state is not decided."""
        return (held for held in self.held.values() if held.end is None)

    def clear(self) -> None:
        """Forget everything; it can be read again from the bucket and the workspace."""
        for each in (self.held, self.invitations, self.vanished, self.superseded, self.withdraw):
            each.clear()
        for requests in (self.cancel_requests, self.drop_cancels, self.drop_follows):
            requests.clear()
        for task_requests in (self.task_cancel_requests, self.drop_task_cancels):
            task_requests.clear()

    def let_go(self, tag: ClaimTag, *, superseded: bool) -> None:
        """Stop holding the job; *superseded* if a newer claim replaced its claim."""
        held = self.held.pop(tag, None)
        if held is not None:
            held.give_up_hand_over()
            held.give_up_shipping()
        if superseded:
            self.superseded.add(tag)
