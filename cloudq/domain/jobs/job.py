"""The record of a job (its manifest) and the changes that it allows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from attrs import evolve, field, frozen

from cloudq.domain.errors import IllegalTransition
from cloudq.domain.jobs.claim import Claim
from cloudq.domain.jobs.contents import Contents
from cloudq.domain.jobs.dependency import Holds
from cloudq.domain.jobs.job_state import JobState, may_follow
from cloudq.domain.jobs.task_states import TaskState, TaskStates
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.jobscript import META
from cloudq.domain.scripts.system_mapping import SystemMapping

MAX_REASON_CHARS = 2_000
MAX_CHANGES = 100
"""The number of changes kept: a job that is requeued for weeks keeps its first and its newest ones."""


@frozen
class StateChange:
    """One change of state: the new state, the time (UTC) and the reason."""

    state: JobState
    time: datetime
    reason: str = ""


def _no_extra() -> Mapping[str, Any]:
    return MappingProxyType({})


@frozen
class Job:
    """The manifest. Fields that ``cloudqcli stat`` shows have the same names as in its output.

    Times are UTC, sizes are bytes, and None means not known yet.
    """

    uuid: str
    name: str
    state: JobState = JobState.INIT
    jobid: str = ""
    jobscript_type: str = "local"
    hold_jid: tuple[str, ...] = ()
    """The jobs that must have ended before this job starts, as in `Holds`."""
    hold_ok_jid: tuple[str, ...] = ()
    array_tid: ArrayRange | None = None
    submit_to: str = ""
    submit_opt: str = ""
    workdir: str = ""
    run_system: str = ""
    placement: str = ""
    """The rule by which that system was chosen."""
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
    """The systems whose queues contain an entry of this job, according to its submitter."""
    mappings: tuple[SystemMapping, ...] = ()
    """The names of a meta job's project and resource on the systems of its submitter."""
    has_input: bool = False
    remarks: tuple[str, ...] = ()
    """Notes for the owner that are not errors."""
    input_files: int | None = None
    """The entries of the input archive; None if its maker did not record them."""
    input_bytes: int | None = None
    """The number of bytes that the input archive unpacks to."""
    output_archives: int | None = None
    """The number of output archives; None in a record that is older than this field."""
    output_files: int | None = None
    output_bytes: int | None = None
    """The number of bytes that the output archives unpack to."""
    left_out: tuple[str, ...] = ()
    """Files of the work directory that could not be included, with reasons; only a part of very many."""
    left_out_count: int = 0
    script_file: str = ""
    """The file name of the script in the work directory; empty if it is the job's name."""
    labels: tuple[str, ...] = ()
    """Texts ``key=value``, sorted by key."""
    arguments: tuple[str, ...] = ()
    """The arguments of the script, the same for all tasks."""
    has_task_arguments: bool = False
    """Whether each task has further arguments, which are stored beside the script."""
    environment: tuple[str, ...] = ()
    """Texts ``NAME=value``: variables that are set for the script."""
    outputs: tuple[str, ...] = ()
    """Patterns of the files that are staged out; empty for everything new or changed."""
    claim: int = 0
    """The number of the ``run`` claim that this record describes; 0 while no system has taken the job."""
    home: str = ""
    client: str = ""
    history_key: str = ""
    submission: str = ""
    """A nonce that never changes after the submission; empty in records of older clients."""
    revision: int = 0
    nonce: str = ""
    format: str = "1.0"
    extra: Mapping[str, Any] = field(factory=_no_extra, eq=False, repr=False)
    """Fields of a newer minor format, kept unchanged."""

    @property
    def id(self) -> str:
        """The job's id, as users see it."""
        return self.uuid

    @property
    def script_name(self) -> str:
        """The file name of the script in the work directory."""
        return self.script_file or self.name

    @property
    def gives_arguments(self) -> bool:
        """Return whether the job has arguments, variables or outputs, which older agents ignore."""
        return bool(self.arguments or self.has_task_arguments or self.environment or self.outputs)

    @property
    def holds(self) -> Holds:
        """The dependencies of the job."""
        return Holds(self.hold_jid, self.hold_ok_jid)

    @property
    def is_final(self) -> bool:
        """Return whether the job has ended."""
        return self.state.is_final

    @property
    def certain_claim(self) -> int:
        """The number of a claim that must be in the store, 0 if the record proves none.

        The claims of a finished job are deleted before its record, so its record proves none.
        """
        return 0 if self.is_final else self.claim

    @property
    def submission_order(self) -> tuple[str, str]:
        """A sort key that orders jobs by their time of submission, by their clients' clocks."""
        return (self.time_submit.isoformat() if self.time_submit else "", self.uuid)

    @property
    def tag(self) -> ClaimTag:
        """The claim that this record describes."""
        return ClaimTag(self.uuid, self.claim)

    @property
    def is_meta(self) -> bool:
        """Return whether the script is a meta jobscript, which is converted where it runs."""
        return self.jobscript_type == META

    def mapping_of(self, system: str) -> SystemMapping:
        """Return the mapping for *system*; an empty mapping means that names are the same there."""
        return next((mapping for mapping in self.mappings if mapping.system == system), SystemMapping(system))

    @property
    def input_contents(self) -> Contents | None:
        """The recorded contents of the input archive; None if they were not recorded."""
        return _contents(self.input_files, self.input_bytes)

    @property
    def output_contents(self) -> Contents | None:
        """The recorded contents of the output archives; None if they were not recorded."""
        return _contents(self.output_files, self.output_bytes)

    @property
    def task_ids(self) -> tuple[int | None, ...]:
        """The ids of the tasks; for a job that is not an array, the one task ``None``."""
        return (None,) if self.array_tid is None else tuple(self.array_tid)

    def state_of_task(self, task: int | None) -> JobState:
        """Return the state of one task; the job's state for None, and for a task that is not recorded."""
        task_state = self.tasks.as_dict().get(task) if task is not None else None
        return self.state if task_state is None else task_state.state

    def entered(self, state: JobState, at: datetime, reason: str = "") -> Job:
        """Return the job after a change to *state*; unchanged if it is in this state already.

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
        """Return the job after *claim* gave it to a system."""
        return evolve(
            self,
            claim=claim.n,
            run_system=claim.system,
            placement=claim.reason,
            home=claim.home,
            time_receive=at,
        )

    def handed_over(self, jobid: str, at: datetime) -> Job:
        """Return the job once the scheduler has it."""
        ready = evolve(self, jobid=jobid, time_ready=at)
        if self.array_tid is not None and not self.tasks.groups:
            ready = evolve(ready, tasks=TaskStates.all_alike(self.array_tid, JobState.READY))
        return ready if ready.state is not JobState.INIT else ready.entered(JobState.READY, at)

    def running(self, at: datetime, reason: str = "") -> Job:
        """Return the job once its script runs; *at* is the time of the start."""
        started = evolve(self, time_start=self.time_start or at)
        if started.state in {JobState.INIT, JobState.READY}:
            return started.entered(JobState.RUN, at, reason)
        return started

    def ended(self, end: TaskState, at: datetime) -> Job:
        """Return the job in its final state."""
        final = self.entered(end.state, at, end.reason)
        failed = end.state is not JobState.DONE
        return evolve(
            final,
            exit_code=end.exit_code,
            time_finish=at,
            error_msg=end.reason[:MAX_REASON_CHARS] if failed else "",
        )

    def with_remark(self, remark: str) -> Job:
        """Return the job with *remark* added to the reason of its last change."""
        *before, last = self.changes
        reason = "; ".join(part for part in (last.reason, remark) if part)[:MAX_REASON_CHARS]
        return evolve(self, changes=(*before, evolve(last, reason=reason)))

    def taken_back(self, at: datetime, systems: tuple[str, ...], reason: str) -> Job:
        """Return the job in its initial state, as if no system had taken it (protocol 3.5)."""
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
    """A job as it was read, with the data that a guarded rewrite needs."""

    job: Job
    etag: str
    size: int = field(default=0, eq=False)
    """The size of the record as it was read, in bytes."""
    age_s: float = field(default=0.0, eq=False)
    """The age of the record when it was read, by the store's clock."""
