"""PBS Professional and OpenPBS, through their commands: qsub, qstat, qdel.

One ``qstat`` shows all jobs that have not ended. Jobs missing from it are looked up by id in PBS's
history. A failed query answers nothing. A job is unknown only if qstat reports it as unknown, and unknown
never means ended. If qstat can neither show a job nor report it as unknown, the other jobs are judged
anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock

from attrs import evolve

from cloudq.adapters.process import (
    MAX_ANSWER_BYTES,
    AnswerTooLong,
    account,
)
from cloudq.adapters.schedulers.commands import (
    CommandTimes,
    SchedulerCommands,
    in_chunks,
    is_about_options,
    left_in,
    words_of,
)
from cloudq.adapters.schedulers.pbs.lookup import JSON, WIDE, PbsLookup
from cloudq.adapters.schedulers.pbs.options import HEADER
from cloudq.adapters.schedulers.pbs.parse import (
    OUTPUT_VARIABLE,
    TAG_VARIABLE,
    TASK_VARIABLE,
    JobRows,
    TaskRow,
    is_array,
    is_scheduler_job_id,
    parse_qstat,
    sequence_number,
)
from cloudq.adapters.schedulers.pbs.states import (
    ENDED,
    KEEP_LAST,
    WAITING,
    is_beyond_this_qstat,
    is_only_about_ended_jobs,
    keeps_no_history,
    read_qsub_answer,
    status_of,
    was_terminated,
)
from cloudq.adapters.schedulers.pbs.submit import plan_qsub
from cloudq.adapters.schedulers.unclear_states import UnclearStates
from cloudq.domain.errors import SchedulerUnavailable, SubmitUncertain
from cloudq.domain.jobs.job_shell import ShellDialect
from cloudq.domain.jobs.outcome import Life, SchedulerStatus
from cloudq.domain.names import ClaimTag
from cloudq.ports.batch_scheduler import AttemptFiles, LocalJob, Submission, SubmitPlan

PBS_DIALECT = ShellDialect(
    header=HEADER,
    scheduler_job_id='${PBS_JOBID/"[${PBS_ARRAY_INDEX:-}]"/[]}',  # a task of 12[].pbs1 is 12[3].pbs1
    task_id=f'"${{PBS_ARRAY_INDEX:-${{{TASK_VARIABLE}:-}}}}"',
    forward_signals=False,  # PBS signals all processes of the job
    copies_output=True,
    takes_output=f'"${{{OUTPUT_VARIABLE}:-}}"',
    own_variables=(TAG_VARIABLE, TASK_VARIABLE, OUTPUT_VARIABLE),
)

_QUERY_ENVIRONMENT: Mapping[str, str] = {"LC_ALL": "C"}


class PbsScheduler:
    """The `BatchScheduler` of a PBS complex that this machine can submit to."""

    def __init__(
        self,
        times: CommandTimes | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        warn: Callable[[str], object] = lambda _words: None,
        most_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self._times = times or CommandTimes()
        self._commands = SchedulerCommands(self._times, environ, _QUERY_ENVIRONMENT, most_bytes)
        self._warn = warn
        self._owner = account()
        self._mutex = Lock()
        self._ways: list[tuple[str, ...]] = [(*WIDE, "-u", self._owner), JSON, WIDE, ()]
        """The ways to list jobs, best first. ``-u`` limits the list to the user's jobs, but excludes JSON."""
        self._known: dict[str, LocalJob] = {}
        self._over: set[str] = set()
        """Jobs that were seen to end as a whole: PBS is not asked about them again, and may forget them."""
        self._unclear = UnclearStates("PBS", warn, KEEP_LAST)
        self._warned: set[str] = set()
        self._look_up = PbsLookup(self._commands, self._owner)

    @property
    def dialect(self) -> ShellDialect:
        return PBS_DIALECT

    @property
    def poll_interval_s(self) -> float:
        return self._times.poll_interval_s

    @property
    def submit_time_limit_s(self) -> float:
        return self._commands.submit_time_limit_s

    def unfit_commands(self) -> tuple[str, ...]:
        try:
            self._live_with_tasks()
        except SchedulerUnavailable as error:
            if is_about_options(str(error)):
                return (f"{error}; cloudq needs OpenPBS or PBS Professional 14 or newer",)
            raise
        return ()

    # Submitting -------------------------------------------------------------------------------

    def plan(self, submission: Submission) -> SubmitPlan:
        return plan_qsub(submission)

    def submit(self, plan: SubmitPlan, files: AttemptFiles) -> str:
        self._commands.submit(plan, files)
        scheduler_job_id = self.submitted(files)
        if scheduler_job_id is None:
            raise SubmitUncertain("qsub left no answer")
        return scheduler_job_id

    def submitted(self, files: AttemptFiles) -> str | None:
        return read_qsub_answer(*left_in(files))

    # Asking -----------------------------------------------------------------------------------

    def find(self, tag: ClaimTag) -> tuple[str, ...]:
        jobs = self._with_history()
        if jobs is None:
            jobs = self._live("-f")
        return tuple(
            sorted(
                (scheduler_job_id for scheduler_job_id, job in jobs.items() if job.tag == tag),
                key=sequence_number,
            )
        )

    def poll(self, scheduler_job_ids: Sequence[str]) -> Mapping[str, LocalJob]:
        wanted = [
            scheduler_job_id
            for scheduler_job_id in dict.fromkeys(scheduler_job_ids)
            if is_scheduler_job_id(scheduler_job_id)
        ]
        shown = self._live_with_tasks()
        gone = [scheduler_job_id for scheduler_job_id in wanted if scheduler_job_id not in shown]
        answers = self._look_up(
            [scheduler_job_id for scheduler_job_id in gone if scheduler_job_id not in self._over]
        )
        self._warn_of(answers.unanswered)
        shown |= answers.jobs
        with self._mutex:
            for scheduler_job_id in wanted:
                if scheduler_job_id in shown:
                    self._note(scheduler_job_id, shown[scheduler_job_id])
            known_ids = [
                scheduler_job_id
                for scheduler_job_id in wanted
                if scheduler_job_id in shown or scheduler_job_id in self._over
            ]
            answered = {scheduler_job_id: self._known[scheduler_job_id] for scheduler_job_id in known_ids}
        return answered | {
            scheduler_job_id: LocalJob({}, unanswered=words)
            for scheduler_job_id, words in answers.unanswered.items()
        }

    def work_dirs(self) -> Mapping[str, str]:
        return {
            scheduler_job_id: rows.submit_dir
            for scheduler_job_id, rows in self._live("-f").items()
            if rows.submit_dir
        }

    def free_slots(self) -> int | None:
        return None

    def _note(self, scheduler_job_id: str, rows: JobRows) -> None:
        self._known[scheduler_job_id] = self._judge(rows, self._known.get(scheduler_job_id))
        if _is_over(scheduler_job_id, rows):
            self._over.add(scheduler_job_id)
        else:
            self._over.discard(scheduler_job_id)

    def _judge(self, rows: JobRows, before: LocalJob | None) -> LocalJob:
        if before is not None and before.tag != rows.tag:
            before = None  # the id now belongs to another job
        last = before.tasks if before else {}
        tasks = {task: self._status(row, None) for task, row in _rows_from_array(rows).items()}
        tasks |= {task: status for task, status in last.items() if _is_end(status)}
        for task, row in rows.tasks.items():
            if row.is_own or task not in last or not _is_account(last[task]):
                tasks[task] = self._status(row, last.get(task))
        return LocalJob(tasks, rows.tag)

    def _status(self, row: TaskRow, before: SchedulerStatus | None) -> SchedulerStatus:
        status = status_of(row)
        if status is not None:
            return status
        return self._unclear.status(row.state, before)

    # Ending -----------------------------------------------------------------------------------

    def cancel(self, scheduler_job_ids: Sequence[str]) -> None:
        self._qdel(
            [
                scheduler_job_id
                for scheduler_job_id in scheduler_job_ids
                if is_scheduler_job_id(scheduler_job_id)
            ]
        )

    def cancel_tasks(self, scheduler_job_id: str, tasks: Sequence[int]) -> None:
        """Cancel tasks; for a plain job that stands for an array of one task, cancel the job."""
        if is_scheduler_job_id(scheduler_job_id):
            self._qdel(list(dict.fromkeys(scheduler_job_id.replace("[]", f"[{task}]", 1) for task in tasks)))

    def _qdel(self, shown_ids: Sequence[str]) -> None:
        refused = ""
        for some in in_chunks(shown_ids):
            done = self._commands.ask("qdel", *some)
            if done.status != 0 and not is_only_about_ended_jobs(done.stderr):
                refused = words_of("qdel", done)
        if refused:
            raise SchedulerUnavailable(refused)

    def forget(self, tag: ClaimTag, scheduler_job_ids: Sequence[str]) -> None:
        with self._mutex:
            for scheduler_job_id in scheduler_job_ids:
                if scheduler_job_id in self._over and self._known[scheduler_job_id].may_be_of(tag):
                    self._over.discard(scheduler_job_id)
                    del self._known[scheduler_job_id]

    # Commands ---------------------------------------------------------------------------------

    def _with_history(self) -> dict[str, JobRows] | None:
        """List all jobs that PBS knows; None if it keeps no history, or one that is too long to read.

        A job in the history that has started holds its lock, whether or not it is found here.
        """
        try:
            return self._listed("-x", "-f")
        except AnswerTooLong:
            return None

    def _live_with_tasks(self) -> dict[str, JobRows]:
        """List all jobs that have not ended, including each task of an array unless there are too many."""
        try:
            return self._live("-t", "-f")
        except AnswerTooLong:
            return self._live("-f")

    def _live(self, *options: str) -> dict[str, JobRows]:
        """List all jobs that have not ended."""
        jobs = self._listed(*options)
        if jobs is None:
            raise SchedulerUnavailable(
                "qstat reported that it keeps no history, although the query did not ask for it"
            )
        return jobs

    def _listed(self, *options: str) -> dict[str, JobRows] | None:
        """List all jobs of this account; None if the history is requested and PBS keeps none."""
        done = None
        for way in tuple(self._ways):
            done = self._commands.ask("qstat", *options, *way)
            if is_beyond_this_qstat(done.stdout, done.stderr) and len(self._ways) > 1:
                self._ways = [other for other in self._ways if other != way]
                continue
            if keeps_no_history(done.stderr):
                return None
            if done.status != 0 or (not done.stdout.strip() and done.stderr.strip()):
                raise SchedulerUnavailable(words_of("qstat", done))
            jobs = parse_qstat(done.stdout, self._owner)
            if jobs is not None:
                return jobs
        output = done.stdout[:200] if done else ""
        raise SchedulerUnavailable(f"qstat printed something other than jobs: {output!r}")

    def _warn_of(self, unanswered: Mapping[str, str]) -> None:
        for scheduler_job_id in unanswered.keys() - self._warned:
            self._warned.add(scheduler_job_id)
            self._warn(f"{unanswered[scheduler_job_id]}; its last known state is kept")


def _is_over(scheduler_job_id: str, rows: JobRows) -> bool:
    """Return whether the whole job has ended; for an array, an answer may show only some of the tasks."""
    if is_array(scheduler_job_id):
        return rows.whole is not None and rows.whole.state in ENDED
    return all(row.state in ENDED for row in rows.tasks.values())


def _rows_from_array(rows: JobRows) -> dict[int | None, TaskRow]:
    """Derive rows from the array's own row, for those of its tasks that have none."""
    whole = rows.whole
    if whole is None:
        return {}
    if whole.state in ENDED:
        # The exit status of the array is not that of its tasks, but its deletion applies to all tasks
        # that had not ended.
        applies_to_all = was_terminated(whole) or not whole.has_run
        row = evolve(whole, state="X", is_own=False) if applies_to_all else TaskRow("X")
        return dict.fromkeys(rows.submitted, row)
    waits = evolve(whole, state=whole.state if whole.state in WAITING else "Q", is_own=False)
    running: dict[int | None, TaskRow] = dict.fromkeys(rows.submitted, TaskRow("R"))
    return running | dict.fromkeys(rows.waiting, waits)


def _is_end(status: SchedulerStatus) -> bool:
    return status.life is Life.ENDED


def _is_account(status: SchedulerStatus) -> bool:
    """Return whether *status* records how the task itself ended; what PBS shows later does not."""
    return _is_end(status) and status.verdict is not None and not status.never_ran
