"""Simulate a batch scheduler in memory, for tests and simulations: time moves only with the given clock.

It changes a claim's files as the job shells of a real scheduler do, and records every start of a script, so
that a test can count them. A test requests faults by setting fields.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from itertools import count
from pathlib import Path

from attrs import define, field, frozen

from cloudq.adapters.schedulers.local.options import PREFIX, read_local_options
from cloudq.domain.errors import (
    SchedulerUnavailable,
    SubmitDeferred,
    SubmitRefused,
    SubmitUncertain,
)
from cloudq.domain.jobs.job_shell import NOT_ITS_TURN, ShellDialect, record_name
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.header import HeaderSyntax, header_lines
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.ports.batch_scheduler import AttemptFiles, LocalJob, Submission, SubmitPlan
from cloudq.ports.clock import Clock
from tests.parts.shell_claim import attempt_of

_RECORD_TIME = "%Y-%m-%dT%H:%M:%SZ"
_TERMINATED = 143
_NO_CONTACT = "scripted: socket timed out on send/recv operation"


@frozen
class Script:
    """The behavior of a script."""

    duration_s: float = 0.0
    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""
    outputs: Mapping[str, bytes] = field(factory=dict)
    """The files that it writes into the work directory when it ends."""
    dies_without_record: bool = False
    """Whether the job shell dies with it, because it was killed, the node was lost, or the disk was full."""


@frozen
class Start:
    """One start of a script."""

    tag: ClaimTag
    task: int | None
    scheduler_job_id: str
    at: float


class SubmitFault(Enum):
    """The faults of a submission."""

    REFUSED = "refused"
    REFUSED_BUT_TAKEN = "refused, and taken all the same"
    DEFERRED = "deferred"
    FAILED_BUT_TAKEN = "failed, and taken all the same"
    LOST = "no answer, nothing done"
    ANSWER_LOST = "no answer, done"
    LATE = "no answer, done later"


Behaviour = Callable[[Submission, int | None], Script]


@define
class _Task:
    status: SchedulerStatus = field(factory=lambda: SchedulerStatus(Life.QUEUED))
    run: int = 0
    """The number of this run; an end that was planned for an earlier run is void."""
    shell_holds: bool = False
    """Whether its job shell has taken the lock and runs the script."""
    started: str = ""


@define
class _Job:
    scheduler_job_id: str
    submission: Submission
    tasks: dict[int | None, _Task]
    limit_s: float | None
    attempt: int
    """The attempt that its job shell named when it was submitted."""
    ended_at: float | None = None

    def is_ended(self) -> bool:
        return all(task.status.life is Life.ENDED for task in self.tasks.values())

    def running(self) -> int:
        return sum(task.status.life is Life.RUNNING for task in self.tasks.values())

    def room(self) -> float:
        """Return how many more of its tasks may run at once."""
        array = self.submission.array
        limit = float("inf") if array is None else array.max_running or float("inf")
        return limit - self.running()


class ScriptedScheduler:
    """A `BatchScheduler` whose scripts behave as *behaviour* returns.

    The code that moves the clock may call `advance` so that files change on time; every method of the
    port does so first.
    """

    def __init__(
        self,
        clock: Clock,
        behaviour: Behaviour | None = None,
        *,
        slots: int | None = None,
        poll_interval_s: float = 2.0,
        submit_time_limit_s: float = 10.0,
        forget_after_s: float | None = None,
        late_by_s: float = 5.0,
        record_lag_s: float = 0.0,
    ) -> None:
        self.starts: list[Start] = []
        self.submissions: list[tuple[str, Submission]] = []
        self.queries = 0
        self.canceled: list[str] = []
        self.strangers: dict[str, str] = {}
        """Unfinished jobs that were not submitted through cloudq, with their directories."""
        self.unavailable = False
        """Whether every query fails."""
        self.holds_queue = False
        """Whether no job may start."""
        self.submit_faults: deque[SubmitFault] = deque()
        """The faults of the next submissions, one for each; later submissions succeed."""
        self.cancel_lag_s = 0.0
        """The seconds between the acceptance of a cancel and its execution."""
        self.accepted_at: dict[str, float] = {}
        """By scheduler job id: when it was submitted, by the clock."""
        self.late: list[Submission] = []
        """The submissions without an answer that it will still accept."""
        self._clock = clock
        self._behaviour: Behaviour = behaviour or (lambda _submission, _task: Script())
        self._slots = slots
        self._poll_interval_s = poll_interval_s
        self._submit_time_limit_s = submit_time_limit_s
        self._forget_after_s = forget_after_s
        self._late_by_s = late_by_s
        self._record_lag_s = record_lag_s
        self._jobs: dict[str, _Job] = {}
        self._ids = count(1)
        self._order = count()
        self._plan: list[tuple[float, int, Callable[[float], object]]] = []

    @property
    def dialect(self) -> ShellDialect:
        return ShellDialect(
            HeaderSyntax(PREFIX), '"$SCRIPTED_JOB_ID"', '"${SCRIPTED_TASK_ID:-}"', forward_signals=False
        )

    @property
    def poll_interval_s(self) -> float:
        return self._poll_interval_s

    @property
    def submit_time_limit_s(self) -> float:
        return self._submit_time_limit_s

    def unfit_commands(self) -> tuple[str, ...]:
        return ()

    # Submitting -------------------------------------------------------------------------------

    def plan(self, submission: Submission) -> SubmitPlan:
        read_local_options(submission.options, submission.header_lines)
        array = ("--array", str(submission.array)) if submission.array else ()
        typed = ("scripted", *array, *submission.options)
        argv = (*typed, str(submission.job_shell))
        return SubmitPlan(submission=submission, argv=argv, typed=typed, array=submission.array)

    def submit(self, plan: SubmitPlan, files: AttemptFiles) -> str:
        self.advance()
        submission = plan.submission
        fault = self._next_fault(submission)
        if not submission.control_dir.is_dir():
            raise SubmitDeferred("scripted: no place for the answer, so nothing is run")
        if fault is None:
            return self._accept(submission, files)
        if fault in {SubmitFault.REFUSED_BUT_TAKEN, SubmitFault.FAILED_BUT_TAKEN}:
            self._accept(submission, None)
        if fault in {SubmitFault.REFUSED, SubmitFault.REFUSED_BUT_TAKEN}:
            return _refuse(files, "scripted: refused")
        if fault is SubmitFault.FAILED_BUT_TAKEN:
            return _refuse(files, _NO_CONTACT)
        if fault is SubmitFault.DEFERRED:
            raise SubmitDeferred("scripted: too many jobs for the moment")
        if fault is SubmitFault.ANSWER_LOST:
            self._accept(submission, None)
        if fault is SubmitFault.LATE:
            self.late.append(submission)
            self._at(self._clock.elapsed() + self._late_by_s, lambda _: self._accept_late(submission, files))
        raise SubmitUncertain(f"scripted: {fault.value}")

    def _next_fault(self, submission: Submission) -> SubmitFault | None:
        fault = self.submit_faults.popleft() if self.submit_faults else None
        return fault if submission.job_shell.exists() else SubmitFault.REFUSED

    def submitted(self, files: AttemptFiles) -> str | None:
        if files.status.exists() and files.status.read_text() != "0":
            words = files.stderr.read_text()
            raise SubmitUncertain(words) if words == _NO_CONTACT else SubmitRefused(words)
        return files.stdout.read_text() if files.stdout.exists() else None

    def _accept(self, submission: Submission, files: AttemptFiles | None) -> str:
        scheduler_job_id = str(next(self._ids))
        job_shell = _content(submission.job_shell)
        header = header_lines(Jobscript("job_shell", job_shell), self.dialect.header)
        assert header == submission.header_lines, "the header lines are those that the scheduler reads"
        options = read_local_options(submission.options, header)
        tasks: list[int | None] = [None] if submission.array is None else list(submission.array)
        attempt = attempt_of(job_shell.decode())
        limit = float(options.time.seconds) if options.time else None
        self._jobs[scheduler_job_id] = _Job(
            scheduler_job_id, submission, {task: _Task() for task in tasks}, limit, attempt
        )
        self.submissions.append((scheduler_job_id, submission))
        self.accepted_at[scheduler_job_id] = self._clock.elapsed()
        if files is not None:
            files.stdout.write_text(scheduler_job_id)
            files.status.write_text("0")
        self._start_waiting(self._clock.elapsed())
        return scheduler_job_id

    def _accept_late(self, submission: Submission, files: AttemptFiles) -> None:
        self.late.remove(submission)
        if submission.job_shell.exists():  # otherwise the scheduler finds no script to copy
            self._accept(submission, files)

    # Asking -----------------------------------------------------------------------------------

    def find(self, tag: ClaimTag) -> tuple[str, ...]:
        self._ask()
        return tuple(job.scheduler_job_id for job in self._jobs.values() if job.submission.tag == tag)

    def poll(self, scheduler_job_ids: Sequence[str]) -> Mapping[str, LocalJob]:
        self._ask()
        return {
            scheduler_job_id: LocalJob(
                {task: each.status for task, each in job.tasks.items()}, job.submission.tag
            )
            for scheduler_job_id in scheduler_job_ids
            if (job := self._jobs.get(scheduler_job_id)) is not None
        }

    def work_dirs(self) -> Mapping[str, str]:
        self._ask()
        return dict(self.strangers)

    def free_slots(self) -> int | None:
        self._ask()
        if self._slots is None:
            return None
        alive = (
            task.status.life is not Life.ENDED for job in self._jobs.values() for task in job.tasks.values()
        )
        return max(0, self._slots - sum(alive))

    def _ask(self) -> None:
        self.advance()
        self.queries += 1
        if self.unavailable:
            raise SchedulerUnavailable("scripted: no answer")

    # Ending -----------------------------------------------------------------------------------

    def cancel(self, scheduler_job_ids: Sequence[str]) -> None:
        self._ask()
        self.canceled.extend(scheduler_job_ids)
        doomed = [
            job
            for scheduler_job_id in scheduler_job_ids
            if (job := self._jobs.get(scheduler_job_id)) is not None
        ]

        def end(_: float) -> None:
            for job in doomed:
                self._stop(job, JobState.DELETED, "canceled")

        self._carry_out(end)

    def cancel_tasks(self, scheduler_job_id: str, tasks: Sequence[int]) -> None:
        self._ask()
        job = self._jobs.get(scheduler_job_id)

        def end_tasks(now: float) -> None:
            for number in tasks:
                if job and number in job.tasks and job.tasks[number].status.life is not Life.ENDED:
                    self._end(job, number, JobState.DELETED, _TERMINATED, "canceled", now)
            self._start_waiting(now)

        self._carry_out(end_tasks)

    def _carry_out(self, cancel: Callable[[float], object]) -> None:
        now = self._clock.elapsed()
        if self.cancel_lag_s:
            self._at(now + self.cancel_lag_s, cancel)
        else:
            cancel(now)

    def forget(self, tag: ClaimTag, scheduler_job_ids: Sequence[str]) -> None:
        for scheduler_job_id in scheduler_job_ids:
            job = self._jobs.get(scheduler_job_id)
            if job is not None and job.submission.tag == tag and job.is_ended():
                del self._jobs[scheduler_job_id]

    def preempt(self, scheduler_job_id: str) -> None:
        """End a running job as a scheduler does that needs its slot for another job."""
        self.advance()
        if job := self._jobs.get(scheduler_job_id):
            self._stop(job, JobState.ERROR, "preempted")

    def requeue(self, scheduler_job_id: str) -> None:
        """Put a running job back into the queue under its own id; its script is cut off."""
        self.advance()
        for task in self._jobs[scheduler_job_id].tasks.values():
            if task.status.life is Life.RUNNING:
                task.run += 1
                task.shell_holds = False
                task.status = SchedulerStatus(Life.QUEUED, reason="requeued")
        self._start_waiting(self._clock.elapsed())

    def lose(self, scheduler_job_id: str) -> None:
        """Forget a job without a trace; a running script is cut off."""
        self._jobs.pop(scheduler_job_id, None)

    def reset(self) -> None:
        """Forget all jobs and restart the ids, as a controller does that lost its state."""
        self._jobs.clear()
        self._ids = count(1)

    def _stop(self, job: _Job, verdict: JobState, reason: str) -> None:
        if self._jobs.get(job.scheduler_job_id) is not job:  # it was forgotten in the meantime
            return
        for number, task in job.tasks.items():
            if task.status.life is not Life.ENDED:
                self._end(job, number, verdict, _TERMINATED, reason, self._clock.elapsed())
        self._start_waiting(self._clock.elapsed())

    # Time -------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Carry out everything that is due, in order."""
        now = self._clock.elapsed()
        self._start_waiting(now)
        while self._plan and self._plan[0][0] <= now:
            due, _, happen = heapq.heappop(self._plan)
            happen(due)
        self._forget_old(now)

    def next_event(self) -> float | None:
        """Return the time of the next event on the clock's `elapsed`; None if nothing is planned."""
        return self._plan[0][0] if self._plan else None

    def _at(self, due: float, happen: Callable[[float], object]) -> None:
        heapq.heappush(self._plan, (due, next(self._order), happen))

    def _forget_old(self, now: float) -> None:
        for job in list(self._jobs.values()):
            if self._forget_after_s is None or job.ended_at is None:
                continue
            if now - job.ended_at >= self._forget_after_s:
                del self._jobs[job.scheduler_job_id]

    # The job shells ---------------------------------------------------------------------------

    def _start_waiting(self, now: float) -> None:
        if self.holds_queue:
            return
        alive = [job for job in self._jobs.values() if job.ended_at is None]
        if not alive:
            return
        slots = float("inf") if self._slots is None else self._slots
        free = slots - sum(job.running() for job in alive)
        for job in alive:
            queued = [item for item in job.tasks.items() if item[1].status.life is Life.QUEUED]
            for number, task in queued[: int(min(free, job.room(), len(queued)))]:
                self._start(job, number, task, now)
                free -= 1

    def _start(self, job: _Job, number: int | None, task: _Task, now: float) -> None:
        task.run += 1
        task.status = SchedulerStatus(Life.RUNNING)
        run = task.run
        if not self._take_lock(job, number, task):
            refused = (JobState.ERROR, NOT_ITS_TURN if job.submission.job_shell.exists() else 127)
            self._at(now, lambda due: self._end_of_run(job, number, run, *refused, "", due))
            return
        self.starts.append(Start(job.submission.tag, number, job.scheduler_job_id, now))
        script = self._behaviour(job.submission, number)
        for stream in ("stdout", "stderr"):
            text = getattr(script, stream)
            with (job.submission.control_dir / record_name(stream, number)).open("a") as file:
                file.write(text)
        limit = job.limit_s
        if limit is not None and limit < script.duration_s:
            reason = f"ran longer than its time limit of {limit:.0f} s"
            ends = (now + limit, JobState.TIMEOUT, _TERMINATED, reason)
        else:
            code = script.exit_code
            ends = (now + script.duration_s, JobState.ERROR if code else JobState.DONE, code, "")
        due, verdict, code, reason = ends
        self._at(due, lambda at: self._end_of_run(job, number, run, verdict, code, reason, at))

    def _take_lock(self, job: _Job, number: int | None, task: _Task) -> bool:
        """Do what the job shell does before the script; return whether the script may start."""
        control = job.submission.control_dir
        task.started = self._clock.now().strftime(_RECORD_TIME)
        lock = control / record_name("lock", number)
        start = control / f"{record_name('start', number)}.{job.scheduler_job_id}"
        submission = f"local_id={job.scheduler_job_id}\nattempt={job.attempt}\n"
        try:
            task.shell_holds = not lock.exists() or lock.read_text().startswith(submission)
            if task.shell_holds:
                _write(start, f"{submission}host=scripted\ntime={task.started}\n")
                if not lock.exists():
                    lock.hardlink_to(start)
                (control / record_name("exit", number)).unlink(missing_ok=True)
        except OSError:  # the claim's files were removed: a real job shell finds no script either
            task.shell_holds = False
        return task.shell_holds

    def _end_of_run(
        self, job: _Job, number: int | None, run: int, verdict: JobState, code: int, reason: str, due: float
    ) -> None:
        task = job.tasks[number]
        is_known = self._jobs.get(job.scheduler_job_id) is job
        if is_known and task.run == run and task.status.life is Life.RUNNING:
            self._end(job, number, verdict, code, reason, due)
            self._start_waiting(due)

    def _end(
        self, job: _Job, number: int | None, verdict: JobState, code: int, reason: str, due: float
    ) -> None:
        task = job.tasks[number]
        was_running = task.status.life is Life.RUNNING
        task.status = SchedulerStatus(Life.ENDED, verdict, code if was_running else None, reason)
        if was_running and task.shell_holds:
            self._leave_files(job, number, task, code, cut_off=verdict in _CUT_OFF or reason == "preempted")
        task.shell_holds = False
        if job.is_ended():
            job.ended_at = due

    def _leave_files(self, job: _Job, number: int | None, task: _Task, code: int, *, cut_off: bool) -> None:
        script = self._behaviour(job.submission, number)
        submission = job.submission
        if not submission.control_dir.is_dir() or not submission.work_dir.is_dir():
            return
        if not cut_off:
            for name, content in script.outputs.items():
                path = submission.work_dir / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        if script.dies_without_record:
            return
        told = {
            "local_id": job.scheduler_job_id,
            "exit_code": code,
            "signal": "TERM" if cut_off else "",
            "host": "scripted",
            "started": task.started,
            "finished": self._clock.now().strftime(_RECORD_TIME),
        }
        text = "".join(f"{name}={value}\n" for name, value in told.items())
        record, run = submission.control_dir / record_name("exit", number), task.run
        if not self._record_lag_s:
            _write(record, text)
            return

        def show(_: float) -> None:
            if submission.control_dir.is_dir() and task.run == run:
                _write(record, text)

        self._at(self._clock.elapsed() + self._record_lag_s, show)


@contextmanager
def submitting_nothing(scheduler: ScriptedScheduler) -> Iterator[None]:
    """Let no prepared job be submitted, as if the scheduler were down; jobs are still prepared."""
    plan = scheduler.plan

    def plan_of_unprepared(submission: Submission) -> SubmitPlan:
        if submission.job_shell.exists():
            raise SchedulerUnavailable("down")
        return plan(submission)

    scheduler.plan = plan_of_unprepared  # type: ignore[method-assign]
    yield
    scheduler.plan = plan  # type: ignore[method-assign]


_CUT_OFF = frozenset({JobState.TIMEOUT, JobState.DELETED})


def _refuse(files: AttemptFiles, words: str) -> str:
    files.stderr.write_text(words)
    files.status.write_text("1")
    raise SubmitUncertain(words) if words == _NO_CONTACT else SubmitRefused(words)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
