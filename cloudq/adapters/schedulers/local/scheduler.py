"""The embedded scheduler: it runs jobs on this machine, first in, first out, with a slot for each CPU.

There is no server: any agent that polls starts the tasks that may start. Each task has its own
supervisor, which enforces the time limit and records the final state even if no agent is running.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

from attrs import field, frozen

from cloudq.adapters.filesystem import (
    create_file,
    is_full,
    read_fields,
    replace_file,
    write_fields,
)
from cloudq.adapters.login_environment import login_environment
from cloudq.adapters.process import (
    Command,
    is_gone,
    kill_group,
    parse_identity,
    send_signal,
    start_helper,
)
from cloudq.adapters.schedulers.commands import left_in
from cloudq.adapters.schedulers.local.job_queue import LocalQueue
from cloudq.adapters.schedulers.local.options import HEADER
from cloudq.adapters.schedulers.local.submit import LocalPlan, QueuedJob, plan_local
from cloudq.domain.errors import (
    InvalidInput,
    SchedulerUnavailable,
    SubmitDeferred,
    SubmitRefused,
    SubmitUncertain,
)
from cloudq.domain.jobs.job_shell import ShellDialect, record_name
from cloudq.domain.jobs.job_state import FINAL_STATES, JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.names import ClaimTag, checked_local_job_id
from cloudq.ports.batch_scheduler import AttemptFiles, LocalJob, Submission, SubmitPlan

LOCAL_DIALECT = ShellDialect(
    header=HEADER,
    scheduler_job_id='"$CLOUDQ_LOCAL_JOB_ID"',
    task_id='"${CLOUDQ_LOCAL_TASK_ID:-}"',
    forward_signals=False,  # the supervisor signals the whole group
)

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_START_WITHIN_S = 30.0
_DEFERRED = "75"
_REFUSED = "1"
"""The status that earlier agents left; today, options are refused before the attempt begins."""
_RUNNING = SchedulerStatus(Life.RUNNING)
_QUEUED = SchedulerStatus(Life.QUEUED)
_CANCELED = SchedulerStatus(Life.ENDED, JobState.DELETED, reason="canceled before it started")


def usable_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@frozen
class _Known:
    """A job whose tasks have not all ended, as the last listing showed it."""

    scheduler_job_id: str
    job: QueuedJob
    statuses: dict[int | None, SchedulerStatus] = field(factory=dict)

    def waiting(self) -> list[int | None]:
        """Return the tasks that may start now if there are free slots."""
        running = sum(status.life is Life.RUNNING for status in self.statuses.values())
        queued = [task for task, status in self.statuses.items() if status.life is Life.QUEUED]
        return queued[: max(0, self.job.max_running - running)]

    def slots(self, life: Life) -> int:
        """Return the slots of all tasks in the state *life*."""
        return self.job.slots * sum(status.life is life for status in self.statuses.values())


class EmbeddedScheduler:
    """The `BatchScheduler` whose jobs are kept in the directory *root*."""

    def __init__(
        self,
        root: Path,
        *,
        slots: int | None = None,
        poll_interval_s: float = 2.0,
        kill_wait_s: float = 10.0,
        environ: Mapping[str, str] | None = None,
        may_start: Callable[[], bool] = lambda: True,
    ) -> None:
        self._may_start = may_start  # the queue is part of the home, and is a copy if the home is
        self._slots = slots or usable_cpus()
        self._poll_interval_s = poll_interval_s
        self._kill_wait_s = kill_wait_s
        self._environ = login_environment(os.environ if environ is None else environ)
        self._queue = LocalQueue(root)
        self._mutex = RLock()
        self._jobs: dict[str, QueuedJob] = {}
        self._ends: dict[str, dict[int | None, SchedulerStatus]] = {}
        self._finished: dict[str, LocalJob] = {}

    @property
    def dialect(self) -> ShellDialect:
        return LOCAL_DIALECT

    @property
    def poll_interval_s(self) -> float:
        return self._poll_interval_s

    @property
    def submit_time_limit_s(self) -> float:
        return 10.0  # a few small files, written by this process itself

    def unfit_commands(self) -> tuple[str, ...]:
        return ()  # it runs no commands except jobs

    # Submitting -------------------------------------------------------------------------------

    def plan(self, submission: Submission) -> LocalPlan:
        plan = plan_local(submission)
        if plan.job.slots > self._slots:
            raise SubmitRefused(f"--slots {plan.job.slots}: this machine has {self._slots}")
        return plan

    def submit(self, plan: SubmitPlan, files: AttemptFiles) -> str:
        assert isinstance(plan, LocalPlan)  # noqa: S101 (made by `plan`)
        try:
            scheduler_job_id = self._queue.add(plan.job, self._kill_wait_s)
        except OSError as error:
            if not is_full(error):
                raise SubmitUncertain(f"cannot queue the job: {error}") from error
            with suppress(OSError):
                _leave_answer(files, "", str(error), _DEFERRED)
            raise SubmitDeferred(f"no space to queue the job: {error}") from error
        with suppress(OSError):  # the job is queued: `find` shows it even without these files
            _leave_answer(files, scheduler_job_id, "", "0")
        return scheduler_job_id

    def submitted(self, files: AttemptFiles) -> str | None:
        status, stdout, stderr = left_in(files)
        if status == _REFUSED:
            raise SubmitRefused(stderr.strip())
        if status == _DEFERRED:
            raise SubmitDeferred(stderr.strip())
        try:
            return checked_local_job_id(stdout.strip())
        except InvalidInput:
            return None

    # Asking -----------------------------------------------------------------------------------

    def find(self, tag: ClaimTag) -> tuple[str, ...]:
        with self._mutex, _errors_as_unavailable():
            return tuple(scheduler_job_id for scheduler_job_id, job in self._read_all() if job.tag == tag)

    def poll(self, scheduler_job_ids: Sequence[str]) -> Mapping[str, LocalJob]:
        with self._mutex, _errors_as_unavailable(), self._queue.turn() as ours:
            unfinished = list(self._look())
            if ours:
                self._start_waiting(unfinished)
            jobs = {entry.scheduler_job_id: LocalJob(entry.statuses, entry.job.tag) for entry in unfinished}
            jobs.update(self._finished)
            return {
                scheduler_job_id: jobs[scheduler_job_id]
                for scheduler_job_id in scheduler_job_ids
                if scheduler_job_id in jobs
            }

    def work_dirs(self) -> Mapping[str, str]:
        return {}  # only cloudq submits jobs to it

    def free_slots(self) -> int | None:
        with self._mutex, _errors_as_unavailable():
            lives = (Life.RUNNING, Life.QUEUED)
            return max(0, self._slots - sum(entry.slots(life) for entry in self._look() for life in lives))

    # Ending -----------------------------------------------------------------------------------

    def cancel(self, scheduler_job_ids: Sequence[str]) -> None:
        with self._mutex, _errors_as_unavailable():
            wanted = set(scheduler_job_ids) & set(self._queue.ids()) - set(self._finished)
            for scheduler_job_id in sorted(wanted, key=int):
                # The request comes first: a supervisor that starts now will see it, and one that started
                # before is in the listing that follows.
                self._queue.request_cancel(scheduler_job_id)
                self._signal_supervisors(scheduler_job_id)

    def cancel_tasks(self, scheduler_job_id: str, tasks: Sequence[int]) -> None:
        with self._mutex, _errors_as_unavailable():
            if scheduler_job_id in self._queue.ids() and scheduler_job_id not in self._finished:
                for task in tasks:
                    self._queue.request_cancel(scheduler_job_id, task)
                for task in tasks:
                    self._signal_supervisors(scheduler_job_id, task)

    def forget(self, tag: ClaimTag, scheduler_job_ids: Sequence[str]) -> None:
        with self._mutex, _errors_as_unavailable():
            for _ in self._look():
                pass
            for scheduler_job_id in set(scheduler_job_ids) & set(self._finished):
                if self._finished[scheduler_job_id].may_be_of(tag):
                    self._queue.drop(scheduler_job_id)

    def _signal_supervisors(self, scheduler_job_id: str, only: int | None = None) -> None:
        names = self._queue.names(scheduler_job_id)
        wanted = names if only is None else names & {record_name("run", only)}
        for name in sorted(wanted):
            kind, _, task = name.partition(".")
            ended = "end" + (f".{task}" if task else "")
            if kind == "run" and ended not in names:
                process = parse_identity(self._record(scheduler_job_id, name).get("process", ""))
                if process is not None:
                    send_signal(process, signal.SIGTERM)

    # Known states -----------------------------------------------------------------------------

    def _read_all(self) -> Iterator[tuple[str, QueuedJob]]:
        present = self._queue.ids()
        self._drop_all_but(set(present))
        for scheduler_job_id in present:
            job = self._jobs.get(scheduler_job_id) or self._queue.read(scheduler_job_id)
            if job is not None:
                self._jobs[scheduler_job_id] = job
                yield scheduler_job_id, job

    def _drop_all_but(self, present: set[str]) -> None:
        for scheduler_job_id in self._jobs.keys() - present:
            self._jobs.pop(scheduler_job_id)
            self._ends.pop(scheduler_job_id, None)
            self._finished.pop(scheduler_job_id, None)

    def _look(self) -> Iterator[_Known]:
        """Yield all jobs with a task that has not ended; put the others into `_finished`."""
        for scheduler_job_id, job in self._read_all():
            if scheduler_job_id in self._finished:
                continue
            names = self._queue.names(scheduler_job_id)
            if not names:
                continue
            statuses = {task: self._status(scheduler_job_id, task, names) for task in job.tasks}
            if all(status.life is Life.ENDED for status in statuses.values()):
                self._finished[scheduler_job_id] = LocalJob(statuses, job.tag)
            else:
                yield _Known(scheduler_job_id, job, statuses)

    def _status(self, scheduler_job_id: str, task: int | None, names: frozenset[str]) -> SchedulerStatus:
        if record_name("end", task) in names:
            return self._end(scheduler_job_id, task)
        if record_name("run", task) in names:
            return self._running_or_lost(scheduler_job_id, task)
        return _CANCELED if names & {"cancel", record_name("cancel", task)} else _QUEUED

    def _end(self, scheduler_job_id: str, task: int | None) -> SchedulerStatus:
        ends = self._ends.setdefault(scheduler_job_id, {})
        if task not in ends:
            ends[task] = _read_end(self._record(scheduler_job_id, record_name("end", task)))
        return ends[task]

    def _running_or_lost(self, scheduler_job_id: str, task: int | None) -> SchedulerStatus:
        identity = self._record(scheduler_job_id, record_name("run", task)).get("process", "")
        supervisor = parse_identity(identity)
        if supervisor is not None and not is_gone(supervisor):
            return _RUNNING
        if record_name("end", task) not in self._queue.names(scheduler_job_id):
            self._end_by_loss(scheduler_job_id, task)
        return self._end(scheduler_job_id, task)

    def _end_by_loss(self, scheduler_job_id: str, task: int | None) -> None:
        """Kill what is left of a task that has no supervisor any more, then record that it is lost."""
        group = parse_identity(self._record(scheduler_job_id, record_name("group", task)).get("process", ""))
        if group is not None:
            kill_group(group, _marks(scheduler_job_id, task))
        end = {
            "state": "ERROR",
            "reason": "lost: the machine was restarted, or the supervisor of the job was killed",
        }
        create_file(self._queue.job_dir(scheduler_job_id) / record_name("end", task), write_fields(end))

    def _record(self, scheduler_job_id: str, name: str) -> dict[str, str]:
        return read_fields(self._queue.job_dir(scheduler_job_id) / name) or {}

    # Starting ---------------------------------------------------------------------------------

    def _start_waiting(self, jobs: Sequence[_Known]) -> None:
        if not self._may_start():
            return
        free = self._slots - sum(entry.slots(Life.RUNNING) for entry in jobs)
        for entry in jobs:
            for task in entry.waiting():
                if entry.job.slots > free:  # strictly in order, so that a large job is not overtaken forever
                    return
                entry.statuses[task] = self._start(entry.scheduler_job_id, entry.job, task)
                free -= entry.job.slots

    def _start(self, scheduler_job_id: str, job: QueuedJob, task: int | None) -> SchedulerStatus:
        directory = self._queue.job_dir(scheduler_job_id)
        command = Command(
            argv=(str(job.job_shell),),
            cwd=job.work_dir if job.work_dir.is_dir() else Path("/"),
            env={**self._environ, **_task_variables(scheduler_job_id, job, task)},
        )
        try:
            process = start_helper(_SUPERVISOR, (str(directory), "-" if task is None else str(task)), command)
        except OSError as error:
            return SchedulerStatus(Life.QUEUED, reason=f"cannot be started: {error}")
        status = process.wait(_START_WITHIN_S)
        if status is None:
            process.let_go()
        if status in {None, 0, 3}:  # 3: another agent's supervisor has it
            return _RUNNING
        return SchedulerStatus(Life.QUEUED, reason=f"cannot be started: its supervisor ended with {status}")


def _task_variables(scheduler_job_id: str, job: QueuedJob, task: int | None) -> dict[str, str]:
    variables = {"CLOUDQ_LOCAL_JOB_ID": scheduler_job_id}
    if job.array is None or task is None:
        return variables
    return variables | {"CLOUDQ_LOCAL_TASK_ID": str(task)}


def _marks(scheduler_job_id: str, task: int | None) -> list[bytes]:
    of_task = [] if task is None else [f"CLOUDQ_LOCAL_TASK_ID={task}".encode()]
    return [f"CLOUDQ_LOCAL_JOB_ID={scheduler_job_id}".encode(), *of_task]


_STATES: Mapping[str, JobState] = {state.value: state for state in FINAL_STATES}


def _read_end(fields: Mapping[str, str]) -> SchedulerStatus:
    code = fields.get("exit_code", "")
    return SchedulerStatus(
        Life.ENDED,
        _STATES.get(fields.get("state", ""), JobState.ERROR),
        int(code) if code.isascii() and code.isdigit() and len(code) < 10 else None,
        fields.get("reason", "" if fields else "its end record cannot be read"),
    )


def _leave_answer(files: AttemptFiles, stdout: str, stderr: str, status: str) -> None:
    """Write what a submit command would have printed; the status comes last."""
    for path, text in ((files.stdout, stdout), (files.stderr, stderr), (files.status, status)):
        if text:
            replace_file(path, f"{text}\n".encode())


@contextmanager
def _errors_as_unavailable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SchedulerUnavailable(f"the files of the embedded scheduler cannot be used: {error}") from error
