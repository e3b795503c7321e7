"""Explain why a job waits, or why it failed, from what the bucket shows about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice

from attrs import frozen

from cloudq.application.client.find_systems import FindSystems
from cloudq.application.client.read_log import STDERR, STDOUT, ReadLog
from cloudq.application.shared.end_job import load_or_none
from cloudq.domain.errors import InvalidInput, RecordRejected
from cloudq.domain.jobs.exit_words import exit_in_words
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.lease import AgentState
from cloudq.domain.jobs.log_tail import last_lines
from cloudq.domain.jobs.task_states import TaskGroup, ended_in
from cloudq.domain.names import ClaimTag, span
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.ports.job_repository import JobFiles, JobQueue, JobRepository
from cloudq.ports.system_registry import SeenLease, SystemRegistry, SystemSign

TAIL_LINES = 20
TAIL_BYTES = 16 << 10
MAX_LOG_BYTES = 64 << 20
"""A longer log is not read for its last lines: a store passes on whole objects only."""
MOST_TASKS = 3
"""The number of failed tasks whose logs are shown."""
MOST_GROUPS = 8
MOST_DEPENDENCIES = 20
MOST_SYSTEMS = 50
"""The invited systems that are looked at: a record from the bucket may name any number."""


class Cause(Enum):
    """The kind of a reason."""

    DEPENDENCY = "dependency"
    """The job waits for the end of another one, or will never run because of it."""
    AGENT = "agent"
    """No agent acts for a system, or it has a problem."""
    NOT_OFFERED = "not offered"
    """A system cannot run the job."""
    WAITING = "waiting"
    """What the agent or the scheduler reports about the waiting job."""
    CANCEL = "cancel"
    RUNNING = "running"
    EXIT = "exit"
    """The end of the script, or of some tasks."""
    ENDED = "ended"
    """The reason that the job's record gives for its end."""
    REMARK = "remark"


class NextStep(Enum):
    """What cloudq offers next; each program names it in its own words."""

    EXPLAIN = "explain the job that is the subject"
    START_AGENT = "start an agent of the system that is the subject"
    CONFIRM_HOME = "confirm the home of the agent of the subject"
    READ_AGENT_LOG = "read the log of the agent of the subject"
    LIST_AGENTS = "look at the agents of all systems"
    REQUEUE = "requeue the job"
    CANCEL = "cancel the job"
    CANCEL_BY_FORCE = "cancel the job without its agent"
    READ_STDOUT = "read the stdout of the job, or of the task that is the subject"
    READ_STDERR = "read the stderr of the job, or of the task that is the subject"
    FOLLOW_LOG = "follow the log of the job"
    STAGE_OUT = "stage out the job"
    RERUN = "run the job once more"
    LONGER_LIMIT = "submit the script with a longer time limit, which a rerun would keep"
    RERUN_FAILED = "run the failed tasks once more"


@frozen
class Reason:
    """One reason, as a sentence without its first capital and its full stop."""

    cause: Cause
    text: str
    subject: str = ""
    """The job or system that it is about, if not the job itself."""


@frozen
class LogEnd:
    """The last lines of a log stream of the job, or of one task."""

    stream: str
    task: int | None
    lines: tuple[str, ...] = ()
    is_too_long: bool = False
    """Whether the log was too long to be read; then there are no lines."""


@frozen
class Advice:
    """Something to do next; *subject* is a job, a system or a task, depending on the step."""

    step: NextStep
    subject: str = ""


@frozen
class Explanation:
    """A job, why it is in its state, the ends of its logs if it failed, and what to do next."""

    job: Job
    reasons: tuple[Reason, ...]
    log_ends: tuple[LogEnd, ...] = ()
    advice: tuple[Advice, ...] = ()

    @property
    def has_failed(self) -> bool:
        """Return whether the job, or a task of it, ended otherwise than DONE."""
        return bool(_failed_groups(self.job)) or (self.job.is_final and self.job.state is not JobState.DONE)


@frozen
class _System:
    """What is known about one system."""

    name: str
    seen: SeenLease | None = None
    note: str = ""
    """What its agent notes about the job."""
    progress: str = ""
    """How many tasks of the job have ended, as its agent reports."""
    has_job: bool = False
    """Whether its summary shows that it holds the job; the record may not show it yet."""
    problem: str = ""
    """Why its report cannot be read."""

    @property
    def is_alive(self) -> bool:
        return self.seen is not None and self.seen.agent_state is AgentState.ALIVE


Findings = Iterator[Reason | Advice | LogEnd]


@frozen
class ExplainJob:
    """Read what the store has about a job: its record, its dependencies, its systems, its logs.

    Costs one GET for the record and one per dependency, one LIST of systems, and two or three GETs per system
    that the job is offered to; for an unpinned meta job, another LIST, and two GETs and one per other system.
    For a failed job, it costs one or two GETs per log.
    """

    jobs: JobRepository
    queue: JobQueue
    files: JobFiles
    registry: SystemRegistry
    find_systems: FindSystems
    read_log: ReadLog

    def __call__(self, job_id: str) -> Explanation:
        """Return the explanation. Raises `JobNotFound`, and `StoreProblem` if a question failed."""
        job = self.jobs.load(job_id).job
        findings = list(self._ended(job) if job.is_final else self._unfinished(job))
        return Explanation(
            job,
            tuple(finding for finding in findings if isinstance(finding, Reason)),
            tuple(finding for finding in findings if isinstance(finding, LogEnd)),
            tuple(dict.fromkeys(finding for finding in findings if isinstance(finding, Advice))),
        )

    # Unfinished jobs -------------------------------------------------------------------------

    def _unfinished(self, job: Job) -> Findings:
        signs = self.registry.systems()
        if not job.claim:
            yield from self._dependencies(job)
            yield from self._offers(job, signs)
        else:
            yield from self._held(job, self._system(job.run_system, job, signs))
        yield from self._failures(job)
        yield Advice(NextStep.CANCEL)

    def _dependencies(self, job: Job) -> Findings:
        """Yield each job that has to end first, or whose end keeps *job* from running."""
        must_be_done = set(job.holds.must_be_done)
        for job_id in job.holds.all_ids[:MOST_DEPENDENCIES]:
            try:
                stored = load_or_none(self.jobs, job_id)
            except RecordRejected as error:
                yield Reason(Cause.DEPENDENCY, f"job {job_id}, on which it depends: {error}", job_id)
                continue
            state = None if stored is None else stored.job.state
            if text := _dependency_text(job_id, state, needs_done=job_id in must_be_done):
                yield Reason(Cause.DEPENDENCY, text, job_id)
                if state is not None:
                    yield Advice(NextStep.EXPLAIN, job_id)

    def _offers(self, job: Job, signs: Mapping[str, SystemSign]) -> Findings:
        """Yield why none of the invited systems has taken the job, and why others were not invited."""
        if not job.invited:
            yield Reason(Cause.WAITING, "it is offered to no system: its submission was interrupted")
            yield Advice(NextStep.REQUEUE)
        for name in job.invited[:MOST_SYSTEMS]:
            system = self._system(name, job, signs)
            yield from _absence(system, "the job waits")
            if system.is_alive and not (job.holds.all_ids and system.note.startswith("waits for")):
                yield from self._offer(job, system)
            yield from _agent_troubles(system)
        yield from self._others(job)
        if len(signs.keys() - set(job.invited)) > 0 and not job.submit_to:
            yield Advice(NextStep.LIST_AGENTS)

    def _offer(self, job: Job, system: _System) -> Findings:
        """Yield what an agent that is alive does with a job that is offered to its system."""
        text = system.note or ("it has taken the job" if system.has_job else "")
        if (
            not text
            and len(job.changes) <= 1
            and not self.queue.holds_queue_entry(system.name, _first_entry(job))
        ):
            text = "the job is not in its queue: the submission was interrupted, or another system has it now"
            yield Advice(NextStep.REQUEUE)
        text = text or "its agent is alive and has not taken the job yet"
        yield Reason(Cause.WAITING, f"{system.name}: {text}", system.name)

    def _others(self, job: Job) -> Findings:
        """Yield why systems that the job is not offered to cannot run it, if any system may run it."""
        if not job.is_meta or job.submit_to:
            return
        try:
            script = self.files.script(job)
            meta = MetaScript.parse(script.name, script.body)
            reasons = self.find_systems.reasons_against_others(meta, job.array_tid, job.invited)
        except (RecordRejected, InvalidInput) as error:
            yield Reason(Cause.NOT_OFFERED, f"other systems could not be checked: {error}")
            return
        for system, reason in reasons.items():
            text = reason or "it could run the job now; it was excluded, or it reported after the submission"
            yield Reason(Cause.NOT_OFFERED, f"not offered to {system}: {text}", system)
            if not reason:
                yield Advice(NextStep.REQUEUE, system)

    def _held(self, job: Job, system: _System) -> Findings:
        """Yield what the system that holds the job reports about it."""
        yield from _absence(system, "the state shown may be outdated")
        if self.queue.is_cancel_requested(system.name, job.tag):
            yield Reason(Cause.CANCEL, f"its agent on {system.name} was asked to cancel it", system.name)
        note = system.note or (job.changes[-1].reason if job.changes else "")
        phase = _PHASES[job.state].format(system=system.name)
        text = f"{phase}{_progress(job, system)}{f': {note}' if note else ''}"
        yield Reason(Cause.RUNNING if job.state is JobState.RUN else Cause.WAITING, text, system.name)
        yield from _agent_troubles(system)
        if system.is_alive and job.state is JobState.RUN:
            yield Advice(NextStep.FOLLOW_LOG)
        if not system.is_alive:
            yield Advice(NextStep.REQUEUE)
            yield Advice(NextStep.CANCEL_BY_FORCE)

    def _system(self, name: str, job: Job, signs: Mapping[str, SystemSign]) -> _System:
        sign = signs.get(name)
        if sign is None:
            return _System(name)
        try:
            seen, summary = self.registry.lease(sign), self.registry.summary(sign)
        except RecordRejected as error:
            return _System(name, problem=str(error))
        lines = () if summary is None else summary.jobs
        line = next((line for line in lines if line.job_id == job.uuid), None)
        if line is None:
            return _System(name, seen)
        return _System(name, seen, line.note, line.progress, bool(line.run_system))

    # Ended jobs ------------------------------------------------------------------------------

    def _ended(self, job: Job) -> Findings:
        if job.exit_code is not None and job.array_tid is None:
            yield Reason(Cause.EXIT, f"its script ended with {code_in_words(job.exit_code)}")
        if message := _beyond_the_exit_code(job):
            yield Reason(Cause.ENDED, message)
        elif job.state is JobState.TIMEOUT:
            yield Reason(Cause.ENDED, "it was ended by its time limit")
        if job.state is JobState.DELETED:
            yield from self._dependencies(job)
        yield from self._failures(job)
        yield from (Reason(Cause.REMARK, remark) for remark in job.remarks)
        if job.left_out_count:
            yield Reason(Cause.REMARK, f"{job.left_out_count} files are not in its outputs")
        if job.claim:
            yield Advice(NextStep.STAGE_OUT)
        if _failed_groups(job):
            yield Advice(NextStep.RERUN_FAILED)
        elif job.state is not JobState.DONE:
            yield Advice(NextStep.LONGER_LIMIT if job.state is JobState.TIMEOUT else NextStep.RERUN)

    def _failures(self, job: Job) -> Findings:
        """Yield the failed tasks of an array, or of an ended job, and the ends of their logs."""
        groups = _failed_groups(job)
        for group in groups[:MOST_GROUPS]:
            yield Reason(Cause.EXIT, _group_text(group))
        if len(groups) > MOST_GROUPS:
            yield Reason(Cause.EXIT, f"tasks failed in {len(groups) - MOST_GROUPS} more ways")
        tasks: Sequence[int | None] = list(
            islice((task for group in groups for task in group.ids), MOST_TASKS)
        )
        if job.is_final and job.array_tid is None and job.state in {JobState.ERROR, JobState.TIMEOUT}:
            tasks = [None]
        for task in tasks:
            yield from self._log_end(job, task)

    def _log_end(self, job: Job, task: int | None) -> Findings:
        """Yield the last lines of stderr; if it is empty, those of stdout."""
        subject = "" if task is None else str(task)
        for stream, step in ((STDERR, NextStep.READ_STDERR), (STDOUT, NextStep.READ_STDOUT)):
            end = end_of_log(self.read_log, job, stream, task)
            if end.lines or end.is_too_long:
                yield end
                yield Advice(step, subject)
                return


def end_of_log(read_log: ReadLog, job: Job, stream: str, task: int | None) -> LogEnd:
    """Return the last lines of a log stream; none if it is empty."""
    total = 0

    def bounded() -> Iterator[bytes]:
        nonlocal total
        for piece in read_log.of_job(job, stream, task):
            total += len(piece)
            if total > MAX_LOG_BYTES:
                return
            yield piece

    try:
        tail = last_lines(bounded(), TAIL_LINES, TAIL_BYTES)
    except InvalidInput:  # the record names a task that the job does not have
        return LogEnd(stream, task)
    if total > MAX_LOG_BYTES:
        return LogEnd(stream, task, is_too_long=True)
    lines = tail.decode(errors="backslashreplace").removesuffix("\n").split("\n") if tail else []
    return LogEnd(stream, task, tuple(line.rstrip("\r") for line in lines))


def code_in_words(code: int) -> str:
    """Return an exit code with its meaning, if it has one."""
    words, plain = exit_in_words(code), f"exit code {code}"
    return plain if words == plain else f"{plain}: {words}"


_PHASES = {
    JobState.INIT: "{system} has taken it and prepares it",
    JobState.READY: "it waits in the queue of {system}",
    JobState.RUN: "it runs on {system}",
    JobState.COMPLETING: "it has ended on {system}; its outputs are being uploaded",
    JobState.DELETING: "{system} is canceling it",
}


def _dependency_text(job_id: str, state: JobState | None, *, needs_done: bool) -> str:
    """Return why a dependency keeps a job from running; empty if it does not."""
    if state is None:
        if needs_done:
            return f"it needs job {job_id} to be DONE, which cannot be checked: job {job_id} was deleted"
        return ""
    if not state.is_final:
        return f"it waits for job {job_id}, which is {state.value}"
    if needs_done and state is not JobState.DONE:
        return f"it needs job {job_id} to be DONE, but that ended as {state.value}"
    return ""


def _absence(system: _System, consequence: str) -> Findings:
    """Yield why no agent acts for *system*."""
    name, seen = system.name, system.seen
    if system.problem:
        yield Reason(Cause.AGENT, f"the report of the agent of {name} cannot be read: {system.problem}", name)
    elif seen is None:
        yield Reason(Cause.AGENT, f"no agent ever reported as {name}: {consequence} until one does", name)
        yield Advice(NextStep.START_AGENT, name)
    elif seen.agent_state is AgentState.STOPPED:
        yield Reason(Cause.AGENT, f"the agent of {name} was stopped: {consequence} until it is started", name)
        yield Advice(NextStep.START_AGENT, name)
    elif seen.agent_state is AgentState.AWAY:
        silent = f"the agent of {name} has not reported for {span(seen.age_s)}"
        yield Reason(Cause.AGENT, f"{silent}: {consequence} until it does", name)
        yield Advice(NextStep.START_AGENT, name)


def _agent_troubles(system: _System) -> Findings:
    """Yield what the agent of *system* reports about itself."""
    lease = None if system.seen is None else system.seen.lease
    if lease is None or not system.is_alive:
        return
    if lease.bucket_doubt:
        yield Reason(
            Cause.AGENT,
            f"the agent of {system.name} starts no job until its home and the bucket are confirmed",
            system.name,
        )
        yield Advice(NextStep.CONFIRM_HOME, system.name)
    if lease.last_error:
        yield Reason(Cause.AGENT, f"the agent of {system.name} reports: {lease.last_error}", system.name)
        yield Advice(NextStep.READ_AGENT_LOG, system.name)


def _failed_groups(job: Job) -> tuple[TaskGroup, ...]:
    """Return the groups of tasks that ended otherwise than DONE."""
    return tuple(
        group for group in job.tasks.groups if group.state.is_final and group.state is not JobState.DONE
    )


def _first_entry(job: Job) -> ClaimTag:
    """Return the queue entry of a job that no system has taken before."""
    return ClaimTag(job.uuid, 1)


def _progress(job: Job, system: _System) -> str:
    """Return how many tasks of an array have ended, by the newest report; empty for other jobs."""
    own = job.tasks.progress if job.tasks.groups else ""
    progress = system.progress if ended_in(system.progress) > ended_in(own) else own
    return f" (tasks that have ended: {progress})" if progress else ""


def _beyond_the_exit_code(job: Job) -> str:
    """Return the reason that the record gives for the end, without its exit code and its failed tasks."""
    message = job.error_msg
    for group in _failed_groups(job):
        message = message.replace(str(group), "")
    repeated = {"", f"exit code {job.exit_code}"}
    return "; ".join(part for part in message.split("; ") if part not in repeated)


def _group_text(group: TaskGroup) -> str:
    code = "" if group.exit_code is None else f", {code_in_words(group.exit_code)}"
    reason = f" ({group.reason})" if group.reason else ""
    return f"task {group.ids}: {group.state.value}{code}{reason}"
