"""The agent's state in memory of a job that it holds.

Nothing here has to survive a crash: all of it can be read again from the bucket and the workspace.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

from attrs import define, field, frozen

from cloudq.application.agent.permit import Permit
from cloudq.domain.errors import IllegalTransition
from cloudq.domain.jobs.job import Job, StoredJob
from cloudq.domain.jobs.task_states import TaskState
from cloudq.domain.names import ClaimTag
from cloudq.ports.workers import Lane, Started
from cloudq.ports.workspace import NO_OUTPUT, ClaimSpace, PackedOutput, SpaceOwner

P = TypeVar("P", bound="Phase")


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


# The hand-over ---------------------------------------------------------------------------------------


@frozen(eq=False)
class HandOverWork:
    """The job that background work hands over; the object of the cycle may change while it works."""

    job: Job
    space: ClaimSpace
    owner: SpaceOwner
    """The owner of the job's files: its claim."""
    is_elsewhere: bool
    header_lines: tuple[str, ...] | None
    permit: Permit

    @property
    def tag(self) -> ClaimTag:
        """The claim of the job."""
        return self.owner.tag


@frozen
class Wait:
    """The reason to take the next step later, and the pause before it."""

    note: str
    first_s: float = 5.0
    """The seconds until the next try; the pause doubles each time. With 0, the next cycle tries again."""
    longest_s: float = 600.0


@frozen(kw_only=True)
class HandOverResult:
    """The result of one step of a hand-over."""

    job: Job
    """The record as it should be."""
    scheduler_job_ids: tuple[str, ...] = ()
    """The scheduler job ids of the claim, if the job was submitted."""
    wait: Wait | None = None
    is_looked_for: bool = False
    """Whether the scheduler was asked once for a submission without a trace, and must be asked again."""
    end: TaskState | None = None
    """The final state, if the script will never start."""
    has_files: bool = True
    """Whether the files in the place of an ended job's files are its own, and so to be staged out."""
    header_lines: tuple[str, ...] | None = None


@frozen(eq=False)
class UnderWay:
    """A step of a held job's hand-over in the background."""

    held: HeldJob
    job: Job
    """The record of the job when the work began."""
    lane: Lane
    permit: Permit
    started: Started[HandOverResult]


# The phases ------------------------------------------------------------------------------------------


@define(eq=False)
class Claimed:
    """The job was not submitted yet, as far as this agent knows."""

    header_lines: tuple[str, ...] | None = None
    """The header lines of its job shell; None if this process neither wrote nor read the job shell."""
    has_big_input: bool = False
    """Whether its input turned out to be bigger than its record states."""
    is_looked_for: bool = False
    """See `HandOverResult`."""
    occupied_since: float | None = None
    """When something else was first found in the place of its work directory, by this machine's clock."""


@define(eq=False)
class Followed:
    """The scheduler has the job, or had it: its state follows from the evidence."""

    fingerprint: Hashable = None
    """The fingerprint of its records at the last look."""
    judged: Hashable = None
    """The evidence behind the last judgment of its state; None if the state must be judged again."""
    judged_at: float = 0.0
    missed: bool = True
    """Whether a first miss may be noted in its control directory."""
    canceled_tasks: dict[int, float] = field(factory=dict)
    """When the scheduler last accepted the cancel of each single task, by this machine's clock."""


@frozen
class Uploaded:
    """The result of a stage-out."""

    packed: PackedOutput = NO_OUTPUT
    is_out_of_sight: bool = False
    """Whether nothing was uploaded because the files are in another home."""
    has_lost_outputs: bool = False
    """Whether the work directory was removed before the outputs could be uploaded."""


@define(eq=False)
class Ending:
    """The final state is decided; it is recorded after the stage-out."""

    end: TaskState
    stage_out: Started[Uploaded] | None = None
    failed_stage_outs: int = 0
    """The number of stage-outs that failed for reasons other than the store or the lease."""


@frozen
class StagedOut:
    """What can be uploaded is in the bucket, so the final state can be recorded."""

    end: TaskState
    uploaded: Uploaded = Uploaded()


Phase = Claimed | Followed | Ending | StagedOut

TRANSITIONS: Mapping[type[Phase], tuple[type[Phase], ...]] = {
    Claimed: (Followed, Ending),
    Followed: (Ending,),
    Ending: (StagedOut,),
    StagedOut: (Ending,),
}
"""The phases that may follow each phase. A job is staged out again if the bucket went back."""


# The job ---------------------------------------------------------------------------------------------


@frozen
class Cancel:
    """A cancel of the whole job."""

    accepted_at: float | None = None
    """When the scheduler last accepted it, by this machine's clock; None until then."""


@define(eq=False)
class LogUploads(Retried):
    """The upload of a job's growing logs; its failures delay nothing else."""

    may_have_pieces: bool = False
    """Whether pieces may be in the bucket, including those of earlier agents."""
    offsets: dict[tuple[str, int | None], int] = field(factory=dict)
    """The bytes of each stream that are in the bucket."""
    turn: LogTurn | None = None
    turns: int = 0
    """The number of turns that succeeded."""
    last_turn_at: float = 0.0
    is_behind: bool = False
    """Whether the logs grow faster than they are uploaded."""
    followed_until: float = 0.0
    """Until when a client follows the logs, by this machine's clock."""


@define(eq=False)
class LogTurn:
    """One turn of the upload in the background."""

    permit: Permit
    offsets: dict[tuple[str, int | None], int]
    """The bytes of each stream that are in the bucket: updated by the work, taken over when it ends."""
    has_put: bool = field(default=False, init=False)
    is_behind: bool = field(default=False, init=False)
    """Whether the turn ended before everything was uploaded."""
    started: Started[None] = field(init=False)


@define(eq=False)
class FileWatch:
    """The times, by this machine's clock, at which the agent looked after a job's files."""

    missing_since: float | None = None
    """When the files of a handed-over job were first found missing."""
    touched_at: float | None = None
    """When their access times were last renewed."""


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
    is_elsewhere: bool = False
    """Whether its work directory is in another home: the job is followed, never submitted."""
    is_newly_claimed: bool = False
    """Whether this process made the claim and has not seen the record since."""
    scheduler_job_ids: tuple[str, ...] = ()
    """The known scheduler job ids of the tag; the one to follow comes first."""
    phase: Phase = field(factory=Claimed)
    hand_over: UnderWay | None = None
    """Its preparation or submission in the background."""
    cancel: Cancel | None = None
    logs: LogUploads = field(factory=LogUploads)
    files: FileWatch = field(factory=FileWatch)
    written_at: float = 0.0
    """When this process last wrote the record, by this machine's clock."""
    is_copied: bool = False
    """Whether this process has kept a copy of the record beside the job's files."""
    has_lost_its_queue_entry: bool = False

    def enter(self, phase: Phase) -> None:
        """Enter *phase*. Raises `IllegalTransition` for a phase that may not follow the present one."""
        before, after = type(self.phase), type(phase)
        if after not in TRANSITIONS[before]:
            raise IllegalTransition(
                f"Job ({self.tag.job_id}) cannot go from {before.__name__} to {after.__name__}."
            )
        self.phase = phase

    def require(self, phase: type[P]) -> P:
        """Return the present phase, which must be of the type *phase*. Raises `IllegalTransition` if not."""
        if not isinstance(self.phase, phase):
            raise IllegalTransition(
                f"Job ({self.tag.job_id}) is in phase {type(self.phase).__name__}, not {phase.__name__}."
            )
        return self.phase

    @property
    def end(self) -> TaskState | None:
        """The final state, once it is decided."""
        return self.phase.end if isinstance(self.phase, Ending | StagedOut) else None

    @property
    def has_started(self) -> bool:
        """Return whether its script is known to have started."""
        return self.job.time_start is not None

    def owner(self, system: str) -> SpaceOwner:
        """Return the owner of the job's files, if *system* holds the job."""
        return SpaceOwner(system, self.tag, self.claim_nonce)

    # Submissions -----------------------------------------------------------------------------

    @property
    def is_handed_over(self) -> bool:
        """Return whether a scheduler job id is known."""
        return bool(self.scheduler_job_ids)

    def learn(self, scheduler_job_ids: tuple[str, ...], *, first: bool = False) -> None:
        """Note scheduler job ids of the claim, in front of the known ones if *first*; follow them."""
        known = (
            (*scheduler_job_ids, *self.scheduler_job_ids)
            if first
            else (*self.scheduler_job_ids, *scheduler_job_ids)
        )
        self.scheduler_job_ids = tuple(dict.fromkeys(known))
        if self.scheduler_job_ids and isinstance(self.phase, Claimed):
            self.enter(Followed())

    def apply(self, result: HandOverResult, now: float) -> None:
        """Take over the result of a step of the hand-over, even if the job was canceled since then."""
        self.job = result.job
        if isinstance(self.phase, Claimed):
            self.phase.is_looked_for, self.phase.header_lines = result.is_looked_for, result.header_lines
        if result.scheduler_job_ids:
            self.learn(result.scheduler_job_ids, first=True)
            self.recovered()
        if result.wait is not None and result.wait.first_s:
            wait = result.wait
            self.back_off(now, wait.note, first_s=wait.first_s, longest_s=wait.longest_s)
        elif result.wait is not None:
            self.note = result.wait.note
        if result.end is not None:
            self.enter(Ending(result.end))
            if not result.has_files:
                self.enter(StagedOut(result.end))

    @property
    def is_being_submitted(self) -> bool:
        """Return whether a submit command runs, or may have run since results were last collected."""
        return self.hand_over is not None and self.hand_over.permit.is_committed

    # Background work -------------------------------------------------------------------------

    @property
    def is_staging_out(self) -> bool:
        """Return whether its stage-out is under way."""
        return isinstance(self.phase, Ending) and self.phase.stage_out is not None

    def give_up_hand_over(self) -> None:
        """Revoke the permit of the hand-over: steps that it has not begun never begin."""
        if self.hand_over is not None:
            self.hand_over.permit.revoke()

    def give_up_log_turn(self) -> None:
        """End the upload of log pieces after the one under way: the whole logs follow, or none are wanted."""
        if self.logs.turn is not None:
            self.logs.turn.permit.revoke()
