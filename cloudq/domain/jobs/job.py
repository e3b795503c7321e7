"""A job's record (its manifest) and how it may change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from attrs import evolve, field, frozen

from cloudq.domain.errors import IllegalTransition
from cloudq.domain.jobs.claim import Claim
from cloudq.domain.jobs.contents import Contents
from cloudq.domain.jobs.job_state import JobState, may_follow
from cloudq.domain.jobs.task_states import TaskState, TaskStates
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.jobscript import META
from cloudq.domain.scripts.system_mapping import SystemMapping

MAX_REASON_CHARS = 2_000
MAX_CHANGES = 100
"""A job that is requeued for weeks keeps its first changes and its newest ones."""


@frozen
class StateChange:
    """One change of state: which, when (UTC) and why."""

    state: JobState
    time: datetime
    reason: str = ""


def _no_extra() -> Mapping[str, Any]:
    return MappingProxyType({})


@frozen
class Job:
    """The manifest. Fields that ``cloudqcli stat`` shows carry the names it shows them by.

    Times are UTC; sizes are bytes; None means not known yet.
    """

    uuid: str
    name: str
    state: JobState = JobState.INIT
    jobid: str = ""
    jobscript_type: str = "local"
    hold_jid: tuple[str, ...] = ()
    """The job starts once these have ended, in whatever state."""
    hold_ok_jid: tuple[str, ...] = ()
    """The job starts once all of these are DONE; it never does if one ended otherwise."""
    array_tid: ArrayRange | None = None
    submit_to: str = ""
    submit_opt: str = ""
    workdir: str = ""
    run_system: str = ""
    placement: str = ""
    """Which rule chose that system."""
    local_account: str = ""
    local_group: str = ""
    submit_command: str = ""
    time_submit: datetime | None = None
    time_receive: datetime | None = None
    time_ready: datetime | None = None
    time_start: datetime | None = None
    time_stageout_start: datetime | None = None
    time_stageout_finish: datetime | None = None
    time_finish: datetime | None = None
    size_input: int | None = None
    size_output: int | None = None
    error_msg: str = ""
    submit_opt_local: str = ""
    local_name: str = ""
    exit_code: int | None = None
    tasks: TaskStates = TaskStates()
    changes: tuple[StateChange, ...] = ()
    invited: tuple[str, ...] = ()
    """The systems whose queues hold a marker of this job, by the submitter's word."""
    mappings: tuple[SystemMapping, ...] = ()
    """What a meta job's project and resource are called on the systems of its submitter."""
    has_input: bool = False
    remarks: tuple[str, ...] = ()
    """What its owner should know, though it is no error."""
    input_files: int | None = None
    """Entries of the input archive; None: its maker did not say."""
    input_bytes: int | None = None
    """What the input archive unpacks to."""
    output_archives: int | None = None
    """How many archives the outputs are in; None: the record is of before this was said."""
    output_files: int | None = None
    output_bytes: int | None = None
    """What the output archives unpack to."""
    left_out: tuple[str, ...] = ()
    """What of the work directory could not go along, with the reason; of very many a part."""
    left_out_count: int = 0
    claim: int = 0
    """Number of the ``run`` claim this record speaks of; 0 while nobody took the job."""
    home: str = ""
    client: str = ""
    history_key: str = ""
    submission: str = ""
    """A nonce that stays the same from the submission on; empty in records of older clients."""
    revision: int = 0
    nonce: str = ""
    format: str = "1.0"
    extra: Mapping[str, Any] = field(factory=_no_extra, eq=False, repr=False)
    """Fields of a newer minor format, kept as they are."""

    @property
    def id(self) -> str:
        """The job's id, as users see it."""
        return self.uuid

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.state.is_final

    @property
    def certain_claim(self) -> int:
        """The number of a claim that must be in the store, 0 if the record vouches for none.

        The claims of a finished job are deleted before its record.
        """
        return 0 if self.is_final else self.claim

    @property
    def submission_order(self) -> tuple[str, str]:
        """Sorts jobs by when they were submitted, by their clients' clocks."""
        return (self.time_submit.isoformat() if self.time_submit else "", self.uuid)

    @property
    def tag(self) -> ClaimTag:
        """The claim this record speaks of."""
        return ClaimTag(self.uuid, self.claim)

    @property
    def is_meta(self) -> bool:
        """Whether its script is a meta jobscript, which is converted where it runs."""
        return self.jobscript_type == META

    def mapping_of(self, system: str) -> SystemMapping:
        """What is said of *system*; nothing of it means that names are the same there."""
        return next((each for each in self.mappings if each.system == system), SystemMapping(system))

    @property
    def input_contents(self) -> Contents | None:
        """What its input archive was said to hold; None: nothing was said."""
        return _contents(self.input_files, self.input_bytes)

    @property
    def output_contents(self) -> Contents | None:
        """What its output archives were said to hold; None: nothing was said."""
        return _contents(self.output_files, self.output_bytes)

    @property
    def task_ids(self) -> tuple[int | None, ...]:
        """The ids of its tasks; of a plain job the one task ``None``."""
        return (None,) if self.array_tid is None else tuple(self.array_tid)

    def state_of_task(self, task: int | None) -> JobState:
        """The state of one task; the job's own for None, and where nothing is known of the task."""
        known = self.tasks.as_dict().get(task) if task is not None else None
        return self.state if known is None else known.state

    def entered(self, state: JobState, at: datetime, reason: str = "") -> Job:
        """The job after a change to *state*; unchanged if it is there already.

        Raises `IllegalTransition` for a change that no job may make.
        """
        if state is self.state:
            return self
        if not may_follow(self.state, state):
            raise IllegalTransition(
                f"Job ({self.uuid}) is {self.state.value} and cannot become {state.value}."
            )
        change = StateChange(state, at, reason[:MAX_REASON_CHARS])
        changes = (*self.changes, change)
        if len(changes) > MAX_CHANGES:
            changes = changes[: MAX_CHANGES // 2] + changes[-MAX_CHANGES // 2 :]
        return evolve(self, state=state, changes=changes)

    def received(self, claim: Claim, at: datetime) -> Job:
        """The job once *claim* gave it to a system."""
        return evolve(
            self,
            claim=claim.n,
            run_system=claim.system,
            placement=claim.reason,
            home=claim.home,
            time_receive=at,
        )

    def handed_over(self, jobid: str, at: datetime) -> Job:
        """The job once the scheduler has it."""
        ready = evolve(self, jobid=jobid, time_ready=at)
        if self.array_tid is not None and not self.tasks.groups:
            ready = evolve(ready, tasks=TaskStates.all_alike(self.array_tid, JobState.READY))
        return ready if ready.state is not JobState.INIT else ready.entered(JobState.READY, at)

    def running(self, at: datetime, reason: str = "") -> Job:
        """The job once its script runs; *at* is when it started."""
        started = evolve(self, time_start=self.time_start or at)
        if started.state in {JobState.INIT, JobState.READY}:
            return started.entered(JobState.RUN, at, reason)
        return started

    def ended(self, end: TaskState, at: datetime) -> Job:
        """The job in its final state."""
        final = self.entered(end.state, at, end.reason)
        failed = end.state is not JobState.DONE
        return evolve(
            final,
            exit_code=end.exit_code,
            time_finish=at,
            error_msg=end.reason[:MAX_REASON_CHARS] if failed else "",
        )

    def with_remark(self, remark: str) -> Job:
        """The job with *remark* beside the reason of its last change."""
        *before, last = self.changes
        reason = "; ".join(part for part in (last.reason, remark) if part)[:MAX_REASON_CHARS]
        return evolve(self, changes=(*before, evolve(last, reason=reason)))

    def taken_back(self, at: datetime, systems: tuple[str, ...], reason: str) -> Job:
        """The job back at the start, as if nobody had taken it (protocol 3.5)."""
        back = self.entered(JobState.INIT, at, reason)
        return evolve(
            back,
            jobid="", workdir="", run_system="", placement="", local_account="", local_group="",
            submit_command="", time_receive=None, time_ready=None, time_start=None,
            time_stageout_start=None, time_stageout_finish=None, error_msg="",
            submit_opt_local="", local_name="", exit_code=None, tasks=TaskStates(),
            invited=systems, claim=0, home="",
        )  # fmt: skip


def _contents(files: int | None, total_bytes: int | None) -> Contents | None:
    return None if files is None or total_bytes is None else Contents(files, total_bytes)


@frozen
class StoredJob:
    """A job as it was read, with what a guarded rewrite needs."""

    job: Job
    etag: str
    size: int = field(default=0, eq=False)
    """Bytes of the record as it was read."""
