"""Grid Engine, through its commands: qsub, qstat, qdel, and qacct for jobs that left the queue.

One ``qstat`` shows all jobs of the account. A failed query answers nothing. A job that is not listed has
not necessarily ended: its own record counts, then accounting; without either, it is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock

from attrs import evolve, frozen

from cloudq.adapters.process import Finished, account
from cloudq.adapters.schedulers.commands import CommandTimes, SchedulerCommands, in_chunks, left_in, words_of
from cloudq.adapters.schedulers.grid_engine.jobs import KnownJob, KnownJobs
from cloudq.adapters.schedulers.grid_engine.options import HEADER
from cloudq.adapters.schedulers.grid_engine.parse import (
    QUERY_ENVIRONMENT,
    Account,
    JobDetails,
    ListedJob,
    has_no_accounting,
    is_not_found,
    is_only_about_unknown_jobs,
    parse_accounts,
    parse_details,
    parse_free_slots,
    parse_list,
    parse_tasks,
)
from cloudq.adapters.schedulers.grid_engine.states import (
    IN_ERROR,
    is_only_about_deleted_jobs,
    read_qsub_answer,
    status_of,
)
from cloudq.adapters.schedulers.grid_engine.submit import plan_qsub
from cloudq.adapters.schedulers.unclear_states import UnclearStates
from cloudq.domain.errors import SchedulerUnavailable, SubmitUncertain
from cloudq.domain.jobs.job_shell import ShellDialect
from cloudq.domain.jobs.outcome import SchedulerStatus
from cloudq.domain.names import ClaimTag
from cloudq.ports.batch_scheduler import AttemptFiles, LocalJob, Submission, SubmitPlan

GRID_ENGINE_DIALECT = ShellDialect(
    header=HEADER,
    scheduler_job_id='"${JOB_ID:-}"',
    task_id='"${SGE_TASK_ID#undefined}"',
    forward_signals=False,  # they reach the whole process group
    copies_output=True,
    reserved_exit_codes=frozenset({99, 100}),
)

_ANY_ID = "999999"
"""An arbitrary job id: it does not matter whether the job exists."""
_ACCOUNTS_OF_ONE_POLL = 3
_PAUSE_AFTER_A_FAILURE_S = 60.0
"""How long accounting is not asked again after a failure, which may have taken its whole time limit."""


@frozen
class GridEngineTimes(CommandTimes):
    """Times in seconds."""

    accounting_wait_s: float = 5.0
    """The time between the first answer without a job and the first accounting query for it."""


class GridEngineScheduler:
    """The `BatchScheduler` of a Grid Engine cell that this machine can submit to."""

    def __init__(
        self,
        times: GridEngineTimes | None = None,
        *,
        elapsed: Callable[[], float],
        environ: Mapping[str, str] | None = None,
        warn: Callable[[str], object] = lambda _words: None,
    ) -> None:
        self._times = times or GridEngineTimes()
        self._elapsed = elapsed
        self._commands = SchedulerCommands(self._times, environ, QUERY_ENVIRONMENT)
        self._warn = warn
        self._owner = account()
        self._mutex = Lock()  # guards queries only: submissions may be recorded at any moment
        self._jobs = KnownJobs()
        self._accounting_at = 0.0
        self._unclear = UnclearStates("Grid Engine", warn)
        self._has_warned = False

    @property
    def dialect(self) -> ShellDialect:
        return GRID_ENGINE_DIALECT

    @property
    def poll_interval_s(self) -> float:
        return self._times.poll_interval_s

    @property
    def submit_time_limit_s(self) -> float:
        return self._commands.submit_time_limit_s

    def unfit_commands(self) -> tuple[str, ...]:
        ask = self._commands.flaw_of
        flaws = [
            ask(*self._list_argv()),
            ask("qstat", "-g", "c"),
            ask("qstat", "-j", _ANY_ID, is_fine=_is_about_an_unknown_job),
        ]
        return tuple(f"{flaw}; cloudq needs Grid Engine 6.2 or newer" for flaw in flaws if flaw)

    # Submitting -------------------------------------------------------------------------------

    def plan(self, submission: Submission) -> SubmitPlan:
        return plan_qsub(submission, self._owner)

    def submit(self, plan: SubmitPlan, files: AttemptFiles) -> str:
        self._commands.submit(plan, files)
        answer = read_qsub_answer(*left_in(files))
        if answer is None:
            raise SubmitUncertain("qsub left no answer")
        ask_at = self._elapsed() + self._times.accounting_wait_s
        self._jobs.submitted(answer.scheduler_job_id, plan.submission.tag, parse_tasks(answer.tasks), ask_at)
        return answer.scheduler_job_id

    def submitted(self, files: AttemptFiles) -> str | None:
        answer = read_qsub_answer(*left_in(files))
        if answer is None:
            return None
        self._jobs.met(answer.scheduler_job_id, None, parse_tasks(answer.tasks), ask_at=0.0)
        return answer.scheduler_job_id

    # Asking -----------------------------------------------------------------------------------

    def find(self, tag: ClaimTag) -> tuple[str, ...]:
        with self._mutex:
            self._look()
            return tuple(sorted(self._jobs.under(tag), key=int))

    def poll(self, scheduler_job_ids: Sequence[str]) -> Mapping[str, LocalJob]:
        wanted = [
            scheduler_job_id
            for scheduler_job_id in dict.fromkeys(scheduler_job_ids)
            if scheduler_job_id.isdigit()
        ]
        with self._mutex:
            listed = self._look(wanted)
            reasons = self._error_reasons(
                {
                    scheduler_job_id: listed[scheduler_job_id]
                    for scheduler_job_id in wanted
                    if scheduler_job_id in listed
                }
            )
            shown = {
                scheduler_job_id: self._jobs.of(scheduler_job_id).show(
                    self._statuses(scheduler_job_id, listed[scheduler_job_id], reasons)
                )
                for scheduler_job_id in wanted
                if scheduler_job_id in listed
            }
            missing = [scheduler_job_id for scheduler_job_id in wanted if scheduler_job_id not in listed]
            self._ask_accounting(missing)
            gone = {scheduler_job_id: self._jobs.of(scheduler_job_id).gone() for scheduler_job_id in missing}
        return shown | {scheduler_job_id: job for scheduler_job_id, job in gone.items() if job is not None}

    def work_dirs(self) -> Mapping[str, str]:
        """Return the directories of jobs that no claim submitted; `qstat -j` is run once for each job."""
        with self._mutex:
            listed = self._look()
            jobs = {scheduler_job_id: self._jobs.get(scheduler_job_id) for scheduler_job_id in listed}
        return {
            scheduler_job_id: job.work_dir for scheduler_job_id, job in jobs.items() if job and job.work_dir
        }

    def free_slots(self) -> int | None:
        """Return the slots of all queues that accept jobs now; a job with other needs may still wait."""
        return parse_free_slots(self._commands.answer("qstat", "-g", "c"))

    def _look(self, wanted: Sequence[str] | None = None) -> dict[str, ListedJob]:
        """List all jobs; record to which claim each of the *wanted* ones belongs."""
        listed = parse_list(self._commands.answer(*self._list_argv()))
        among = (
            list(listed)
            if wanted is None
            else [scheduler_job_id for scheduler_job_id in wanted if scheduler_job_id in listed]
        )
        strangers = self._jobs.unidentified(among)
        details = self._details(strangers)
        for scheduler_job_id in strangers:
            if scheduler_job_id in details:  # otherwise it has ended since
                self._jobs.identify(
                    scheduler_job_id, details[scheduler_job_id].tag, details[scheduler_job_id].work_dir
                )
        self._jobs.take_over(listed, self._elapsed(), self._times.accounting_wait_s)
        return listed

    def _list_argv(self) -> tuple[str, ...]:
        return ("qstat", "-xml", "-s", "prs", "-u", self._owner)

    def _details(self, scheduler_job_ids: Sequence[str]) -> dict[str, JobDetails]:
        details: dict[str, JobDetails] = {}
        for some in in_chunks(scheduler_job_ids):
            done = self._commands.ask("qstat", "-j", ",".join(some))
            if done.status == 0:
                details |= parse_details(done.stdout)
            elif not is_only_about_unknown_jobs(done.stdout + done.stderr):
                raise SchedulerUnavailable(words_of("qstat", done))
        return details

    def _statuses(
        self, scheduler_job_id: str, job: ListedJob, reasons: Mapping[tuple[str, int], str]
    ) -> dict[int | None, SchedulerStatus]:
        before = self._jobs.of(scheduler_job_id).tasks
        statuses = {}
        for task, letters in job.tasks.items():
            status = status_of(letters) or self._unclear.status(letters, before.get(task))
            if status is IN_ERROR:
                reason = reasons.get((scheduler_job_id, task or 1), "")
                status = evolve(status, reason=f"{letters}: {reason or status.reason}")
            statuses[task] = status
        return statuses

    def _error_reasons(self, listed: Mapping[str, ListedJob]) -> dict[tuple[str, int], str]:
        """Return why tasks are in an error state, asked for each time: errors may be cleared and recur."""
        in_error = [
            scheduler_job_id
            for scheduler_job_id, job in listed.items()
            if any(status_of(letters) is IN_ERROR for letters in job.tasks.values())
        ]
        return {
            (scheduler_job_id, task): reason
            for scheduler_job_id, details in self._details(in_error).items()
            for task, reason in details.errors.items()
        }

    # Jobs that left the queue -----------------------------------------------------------------

    def _ask_accounting(self, missing: Sequence[str]) -> None:
        """Ask about a few of the jobs that are due; after a failure, all jobs wait."""
        begun = now = self._elapsed()
        if now < self._accounting_at:
            return
        due = [
            (scheduler_job_id, job)
            for scheduler_job_id in missing
            if (job := self._jobs.of(scheduler_job_id)).is_due(now)
        ]
        for scheduler_job_id, job in sorted(due, key=lambda item: item[1].ask_at)[:_ACCOUNTS_OF_ONE_POLL]:
            self._account(scheduler_job_id, job)
            if self._elapsed() - begun > self._times.poll_interval_s:
                break

    def _account(self, scheduler_job_id: str, job: KnownJob) -> None:
        try:
            accounts = self._accounts(scheduler_job_id)
        except SchedulerUnavailable:
            self._accounting_at = self._elapsed() + _PAUSE_AFTER_A_FAILURE_S
            raise
        if accounts is not None:
            tags = {account.tag for account in accounts.values()} - {None}
            is_anothers = job.tag is not None and bool(tags - {job.tag})
            job.account({} if is_anothers else accounts)
        job.note_asked(self._elapsed(), self._times.accounting_wait_s)

    def _accounts(self, scheduler_job_id: str) -> Mapping[int | None, Account] | None:
        """Return what accounting knows about a job; None if there is no accounting."""
        done = self._commands.ask("qacct", "-j", scheduler_job_id)
        if done.status == 0:
            return parse_accounts(done.stdout, scheduler_job_id, self._owner)
        message = done.stdout + done.stderr
        if is_not_found(message):
            return {}
        if has_no_accounting(message):
            if not self._has_warned:
                self._has_warned = True
                self._warn("Grid Engine has no accounting here: killed jobs will be reported as lost")
            return None
        raise SchedulerUnavailable(words_of("qacct", done))

    # Ending -----------------------------------------------------------------------------------

    def cancel(self, scheduler_job_ids: Sequence[str]) -> None:
        for some in in_chunks(
            [scheduler_job_id for scheduler_job_id in scheduler_job_ids if scheduler_job_id.isdigit()]
        ):
            self._qdel(*some)

    def cancel_tasks(self, scheduler_job_id: str, tasks: Sequence[int]) -> None:
        if scheduler_job_id.isdigit():
            for task in tasks:
                self._qdel(scheduler_job_id, "-t", str(task))

    def _qdel(self, *words: str) -> None:
        done = self._commands.ask("qdel", *words)
        if done.status != 0 and not is_only_about_deleted_jobs(done.stdout + done.stderr):
            raise SchedulerUnavailable(words_of("qdel", done))

    def forget(self, tag: ClaimTag, scheduler_job_ids: Sequence[str]) -> None:
        """Drop ended jobs; delete those in an error state, which would stay in the queue forever."""
        with self._mutex:
            stuck = self._jobs.stuck(tag, scheduler_job_ids)
            self._jobs.forget(tag, scheduler_job_ids)
        self.cancel(stuck)


def _is_about_an_unknown_job(done: Finished) -> bool:
    return is_only_about_unknown_jobs(done.stdout + done.stderr)
