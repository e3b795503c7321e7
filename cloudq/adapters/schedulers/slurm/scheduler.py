"""Slurm, through its commands: sbatch, squeue, scontrol, scancel, sinfo, and sacct if there is accounting.

One ``squeue`` shows all jobs, including those that ended a short while ago. A failed query answers
nothing. A job that Slurm has forgotten is missing from the answer, which never means that it ended.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Lock

from attrs import frozen

from cloudq.adapters.process import account
from cloudq.adapters.schedulers.commands import CommandTimes, SchedulerCommands, in_chunks, left_in, words_of
from cloudq.adapters.schedulers.shared_query import SharedQuery
from cloudq.adapters.schedulers.slurm.answers import (
    is_about_an_unknown_job,
    is_only_about_ended_jobs,
    read_sbatch_answer,
)
from cloudq.adapters.schedulers.slurm.options import HEADER, IGNORED_DEFAULTS
from cloudq.adapters.schedulers.slurm.parse import (
    ANY_ID,
    NEEDED,
    PROBES,
    QUERY_ENVIRONMENT,
    SHOW_JOB,
    SINFO,
    WORK_DIR_FORMAT,
    ClusterLimits,
    JobRows,
    TaskRow,
    parse_config,
    parse_sacct,
    parse_shown_jobs,
    parse_sinfo,
    parse_squeue,
    parse_work_dirs,
    sacct_argv,
    squeue_argv,
)
from cloudq.adapters.schedulers.slurm.states import (
    KEEP_LAST,
    STATES,
    status_once_gone,
)
from cloudq.adapters.schedulers.slurm.submit import plan_sbatch
from cloudq.adapters.schedulers.unclear_states import UnclearStates
from cloudq.domain.errors import SchedulerUnavailable, SubmitRefused, SubmitUncertain
from cloudq.domain.jobs.job_shell import ShellDialect
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.ports.batch_scheduler import AttemptFiles, LocalJob, Submission, SubmitPlan

SLURM_DIALECT = ShellDialect(
    header=HEADER,
    scheduler_job_id='"${SLURM_ARRAY_JOB_ID:-${SLURM_JOB_ID:-}}"',
    task_id='"${SLURM_ARRAY_TASK_ID:-}"',
    forward_signals=True,  # `scancel --batch` and `--signal=B:` reach only the job shell
    copies_output=True,
    # The agent's credential for Slurm, which ends with its session; and what cloudq's own --open-mode
    # leaves behind, which srun would take as a default.
    own_variables=("SLURM_JWT", "SLURM_OPEN_MODE"),
)

_FORGET_FINISHED = "now-1days"
"""How far back accounting is searched for a submission that left no trace."""


@frozen
class _Known:
    """A job as the last answer showed it."""

    job: LocalJob
    states: Mapping[int | None, str]
    asked_at: float


@frozen
class _Queue:
    """The jobs that squeue showed, and when it was asked."""

    jobs: Mapping[str, JobRows]
    began_at: float
    ended_at: float


class SlurmScheduler:
    """The `BatchScheduler` of a Slurm cluster that this machine can submit to."""

    def __init__(
        self,
        times: CommandTimes | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        warn: Callable[[str], object] = lambda _words: None,
    ) -> None:
        self._times = times or CommandTimes()
        self._commands = SchedulerCommands(self._times, environ, QUERY_ENVIRONMENT)
        self._owner = account()
        for name, reason in IGNORED_DEFAULTS.items():
            if name in (os.environ if environ is None else environ):
                warn(f"{name} in the agent's environment is ignored: {reason}")
        self._mutex = Lock()
        self._limits: ClusterLimits | None = None
        self._known: dict[str, _Known] = {}
        self._unclear = UnclearStates("Slurm", warn, KEEP_LAST)
        self._unanswered = ""
        """Why Slurm did not answer about a single job, in the current poll."""
        self._listed = SharedQuery(self._ask_squeue)
        self._cluster = SharedQuery(self._read_limits)

    @property
    def dialect(self) -> ShellDialect:
        return SLURM_DIALECT

    @property
    def poll_interval_s(self) -> float:
        """Seconds between two polls; at most as long as Slurm remembers a job, once that is known."""
        age = self._limits.min_job_age_s if self._limits else 0.0
        return min(self._times.poll_interval_s, max(1.0, age / 2)) if age else self._times.poll_interval_s

    @property
    def submit_time_limit_s(self) -> float:
        return self._commands.submit_time_limit_s

    def unfit_commands(self) -> tuple[str, ...]:
        ask = self._commands.flaw_of
        forms = (*PROBES, squeue_argv(self._owner))
        flaws = [ask(*argv) for argv in forms]
        flaws.append(ask(*SHOW_JOB, ANY_ID, is_fine=lambda done: is_about_an_unknown_job(done.stderr)))
        if not any(flaws) and self._cluster().has_accounting:
            flaws.append(ask(*sacct_argv(with_line=self._cluster().has_submit_line), "--jobs", ANY_ID))
        return tuple(f"{flaw}; {NEEDED}" for flaw in flaws if flaw)

    # Submitting -------------------------------------------------------------------------------

    def plan(self, submission: Submission) -> SubmitPlan:
        return plan_sbatch(submission, self._owner, self._commands.submit_environment)

    def submit(self, plan: SubmitPlan, files: AttemptFiles) -> str:
        self._check_size(plan.array)
        self._commands.submit(plan, files)
        scheduler_job_id = self.submitted(files)
        if scheduler_job_id is None:
            raise SubmitUncertain("sbatch left no answer")
        return scheduler_job_id

    def submitted(self, files: AttemptFiles) -> str | None:
        answer = read_sbatch_answer(*left_in(files))
        if answer is None:
            return None
        if answer.cluster and answer.cluster != self._cluster().name:
            raise SubmitRefused(
                f"sbatch submitted it as job {answer.scheduler_job_id} of cluster {answer.cluster!r}, which "
                "cloudq cannot follow: unset SBATCH_CLUSTERS and SLURM_CLUSTERS where the agent is started; "
                f"to end that job: scancel --clusters={answer.cluster} {answer.scheduler_job_id}"
            )
        return answer.scheduler_job_id

    def _check_size(self, array: ArrayRange | None) -> None:
        if array is None:
            return
        most = self._cluster().max_array_size - 1
        if array.last > most:
            raise SubmitRefused(f"task {array.last}: the highest task id here is {most} (MaxArraySize)")

    # Asking -----------------------------------------------------------------------------------

    def find(self, tag: ClaimTag) -> tuple[str, ...]:
        scheduler_job_ids = [
            scheduler_job_id for scheduler_job_id, job in self._listed().jobs.items() if job.tag == tag
        ]
        if not scheduler_job_ids and self._cluster().has_accounting and self._cluster().has_submit_line:
            words = (f"--starttime={_FORGET_FINISHED}", "--user", str(os.geteuid()))
            scheduler_job_ids = [
                scheduler_job_id for scheduler_job_id, job in self._accounted(words).items() if job.tag == tag
            ]
        return tuple(sorted(scheduler_job_ids, key=int))

    def poll(self, scheduler_job_ids: Sequence[str]) -> Mapping[str, LocalJob]:
        wanted = dict.fromkeys(scheduler_job_ids)
        self._cluster()
        answer = self._listed()
        listed = answer.jobs
        with self._mutex:
            self._unanswered = ""
            jobs = {
                scheduler_job_id: self._judged_or_unanswered(
                    scheduler_job_id, listed[scheduler_job_id], answer
                )
                for scheduler_job_id in wanted
                if scheduler_job_id in listed
            }
            missing = [scheduler_job_id for scheduler_job_id in wanted if scheduler_job_id not in listed]
            remembered = {scheduler_job_id: self._once_gone(scheduler_job_id) for scheduler_job_id in missing}
            jobs.update(
                {scheduler_job_id: job for scheduler_job_id, job in remembered.items() if job is not None}
            )
        unknown = [
            scheduler_job_id
            for scheduler_job_id, job in remembered.items()
            if job is None and scheduler_job_id.isdigit()
        ]
        return jobs | self._from_accounting(unknown)

    def work_dirs(self) -> Mapping[str, str]:
        options = ("--all", f"--user={self._owner}", "--noheader")
        return parse_work_dirs(self._commands.answer("squeue", *options, f"--format={WORK_DIR_FORMAT}"))

    def free_slots(self) -> int | None:
        """Return the idle CPUs for jobs that name no partition; a job that needs more may still wait."""
        return parse_sinfo(self._commands.answer(*SINFO))

    def _judged_or_unanswered(self, scheduler_job_id: str, rows: JobRows, answer: _Queue) -> LocalJob:
        """Judge one job; if that fails, the other jobs must be followed anyway."""
        try:
            return self._judge(scheduler_job_id, rows, answer)
        except SchedulerUnavailable as error:
            self._unanswered = str(error)
            return LocalJob({}, rows.tag, unanswered=self._unanswered)

    def _judge(self, scheduler_job_id: str, rows: JobRows, answer: _Queue) -> LocalJob:
        before = self._known.get(scheduler_job_id)
        if before is not None and before.job.tag != rows.tag:
            before = None  # the id now belongs to another job
        codes = self._exit_codes(scheduler_job_id, rows, before)
        tasks = dict(_ends(before.job)) if before else {}  # Slurm forgets single tasks before the array
        tasks |= self._canceled_without_a_trace(rows, before, answer)
        for task, row in rows.tasks.items():
            tasks[task] = self._status(row, codes.get(task), before.job.tasks.get(task) if before else None)
        job = LocalJob(tasks, rows.tag)
        self._known[scheduler_job_id] = _Known(
            job, {task: row.state for task, row in rows.tasks.items()}, answer.began_at
        )
        return job

    def _canceled_without_a_trace(
        self, rows: JobRows, before: _Known | None, answer: _Queue
    ) -> dict[int | None, SchedulerStatus]:
        """Return tasks of an array that waited and are gone, while the rest of the array is still shown.

        A task that is canceled before it starts disappears in this way. A task that has started has its
        own line, which stays for MinJobAge after it ends.
        """
        age = self._cluster().min_job_age_s or math.inf
        if before is None or rows.is_cut or answer.ended_at - before.asked_at >= age:
            return {}
        waited = {task for task, state in before.states.items() if state == "PENDING" and task is not None}
        return dict.fromkeys(waited - rows.tasks.keys(), STATES["CANCELLED"].status(None, ""))

    def _status(self, row: TaskRow, exit_code: int | None, before: SchedulerStatus | None) -> SchedulerStatus:
        meaning = STATES.get(row.state)
        if meaning is not None:
            return meaning.status(exit_code, row.reason)
        return self._unclear.status(row.state, before)

    def _exit_codes(
        self, scheduler_job_id: str, rows: JobRows, before: _Known | None
    ) -> Mapping[int | None, int | None]:
        """Return the exit codes of failed tasks, which squeue does not show; each is asked for once."""
        codes = {task: status.exit_code for task, status in _ends(before.job)} if before else {}
        failed = {task for task, row in rows.tasks.items() if _has_exit_code(row)}
        if failed <= codes.keys():
            return codes
        if self._unanswered:  # in the same poll: the jobs must not time out one by one
            raise SchedulerUnavailable(self._unanswered)
        done = self._commands.ask(*SHOW_JOB, scheduler_job_id)
        if done.status != 0 and not is_about_an_unknown_job(done.stderr):
            raise SchedulerUnavailable(words_of("scontrol", done))
        # Slurm has forgotten it since: the verdict counts without an exit code.
        return codes | (parse_shown_jobs(done.stdout) if done.status == 0 else {})

    def _once_gone(self, scheduler_job_id: str) -> LocalJob | None:
        """Return what the last answer that showed the job proves now that it is gone; None: nothing."""
        last = self._known.get(scheduler_job_id)
        if last is None:
            return None
        ends = {
            task: end
            for task, status in last.job.tasks.items()
            if (end := status_once_gone(status, last.states.get(task, ""))) is not None
        }
        return LocalJob(ends, last.job.tag) if len(ends) == len(last.job.tasks) else None

    def _from_accounting(self, scheduler_job_ids: Sequence[str]) -> dict[str, LocalJob]:
        if not scheduler_job_ids or not self._cluster().has_accounting:
            return {}
        jobs: dict[str, LocalJob] = {}
        for some in in_chunks(scheduler_job_ids):
            try:
                accounted = self._accounted(("--jobs", ",".join(some)))
            except SchedulerUnavailable as error:
                remaining = [
                    scheduler_job_id for scheduler_job_id in scheduler_job_ids if scheduler_job_id not in jobs
                ]
                return jobs | dict.fromkeys(remaining, LocalJob({}, unanswered=str(error)))
            for scheduler_job_id, rows in accounted.items():
                ends = _final(rows)
                if scheduler_job_id in some and ends:
                    jobs[scheduler_job_id] = LocalJob(ends, rows.tag)
        return jobs

    # Ending -----------------------------------------------------------------------------------

    def cancel(self, scheduler_job_ids: Sequence[str]) -> None:
        self._scancel(
            [scheduler_job_id for scheduler_job_id in scheduler_job_ids if scheduler_job_id.isdigit()]
        )

    def cancel_tasks(self, scheduler_job_id: str, tasks: Sequence[int]) -> None:
        if scheduler_job_id.isdigit():
            self._scancel([f"{scheduler_job_id}_{task}" for task in tasks])

    def _scancel(self, shown_ids: Sequence[str]) -> None:
        for some in in_chunks(shown_ids):
            done = self._commands.ask("scancel", *some)
            if done.status != 0 and not is_only_about_ended_jobs(done.stderr):
                raise SchedulerUnavailable(words_of("scancel", done))

    def forget(self, tag: ClaimTag, scheduler_job_ids: Sequence[str]) -> None:
        with self._mutex:
            for scheduler_job_id in scheduler_job_ids:
                last = self._known.get(scheduler_job_id)
                if last is None or not last.job.may_be_of(tag):
                    continue
                if all(status.life is Life.ENDED for status in last.job.tasks.values()):
                    del self._known[scheduler_job_id]

    # Commands ---------------------------------------------------------------------------------

    def _read_limits(self) -> ClusterLimits:
        if self._limits is None:
            self._limits = parse_config(self._commands.answer("scontrol", "show", "config"))
        return self._limits

    def _ask_squeue(self) -> _Queue:
        done = self._commands.succeed(*squeue_argv(self._owner))
        return _Queue(_of_claims(parse_squeue(done.stdout)), done.began_at, done.ended_at)

    def _accounted(self, words: Iterable[str]) -> dict[str, JobRows]:
        with_line = self._cluster().has_submit_line
        text = self._commands.answer(*sacct_argv(with_line=with_line), *words)
        jobs = parse_sacct(text, with_line=with_line)
        return _of_claims(jobs) if with_line else jobs


def _ends(job: LocalJob) -> Iterator[tuple[int | None, SchedulerStatus]]:
    return ((task, status) for task, status in job.tasks.items() if status.life is Life.ENDED)


def _has_exit_code(row: TaskRow) -> bool:
    meaning = STATES.get(row.state)
    return meaning is not None and meaning.has_scripts_exit_code(row.reason)


def _final(rows: JobRows) -> dict[int | None, SchedulerStatus]:
    """Return the final states in accounting; it learns of other states late, so only these count."""
    ends = {}
    for task, row in rows.tasks.items():
        meaning = STATES.get(row.state)
        if meaning is not None:
            status = status_once_gone(meaning.status(row.exit_code, ""), row.state)
            if status is not None:
                ends[task] = status
    return ends


def _of_claims(jobs: dict[str, JobRows]) -> dict[str, JobRows]:
    """Drop jobs whose command belongs to no claim: their ids may have been a claim's before a reset."""
    return {scheduler_job_id: rows for scheduler_job_id, rows in jobs.items() if rows.tag is not None}
