"""Hand one job over to the scheduler: submit it, or find an earlier submission (protocol 4.4)."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from attrs import evolve, frozen

from cloudq.application.agent.end_unstarted import EndUnstarted, RecordSubmission, was_started_before
from cloudq.application.agent.held_job import HandOverResult, HandOverWork, Wait
from cloudq.application.agent.stop_claim import StopClaim
from cloudq.domain.errors import (
    CloudqError,
    InvalidInput,
    NoJobId,
    SchedulerProblem,
    SubmitDeferred,
    SubmitRefused,
    SubmitUncertain,
)
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_shell import BLOCKED
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.header import header_lines
from cloudq.domain.scripts.submit_options import split_options
from cloudq.ports.batch_scheduler import BatchScheduler, Submission, SubmitPlan
from cloudq.ports.clock import Clock
from cloudq.ports.workspace import Attempt, ClaimSpace, FirstMiss, Workspace

LOST_AFTER_S = 600.0
"""How long a job without files must be unknown to the scheduler before it ends with ERROR.

The files may be out of sight for a moment.
"""
MOST_ATTEMPTS_WITHOUT_ID = 3
"""How many attempts that succeed without naming a job end it; a single one may be an accident."""


@frozen
class HandOverJob:
    """Submit a prepared job to the scheduler, or find the submission of an earlier attempt.

    Runs in the background and changes nothing that the cycle uses: the cycle applies the result.
    """

    scheduler: BatchScheduler
    workspace: Workspace
    clock: Clock
    stop_claim: StopClaim
    end_unstarted: EndUnstarted
    record_submission: RecordSubmission

    def __call__(self, work: HandOverWork) -> HandOverResult:
        """Take the next step; raise errors that may pass, and end the job if it is refused.

        Raises `LeaseLost` if a successor may have ended the job and removed its lock long ago.
        """
        work.permit.require()
        if work.is_elsewhere:
            return self._follow_only(work)
        if has_lost_its_files(work.job, work.space):
            return self._follow_lost(work)
        if attempts := work.space.attempts():
            return self._recover(self._with_header_lines(work), attempts)
        if was_started_before(self.workspace, work.tag, work.job):
            return self._follow_lost(work)
        if not work.space.is_prepared():  # its files were removed since, and are made again
            return HandOverResult(job=work.job)
        work.space.create(work.owner)
        return self._submit(self._with_header_lines(work), 1)

    # A job whose files are out of sight ------------------------------------------------------

    def _follow_only(self, work: HandOverWork) -> HandOverResult:
        if scheduler_job_ids := self.scheduler.find(work.tag):
            return HandOverResult(job=work.job, scheduler_job_ids=scheduler_job_ids)
        note = (
            "its files are under another home: it is followed, never submitted again; "
            "requeue it if it must run"
        )
        return HandOverResult(job=work.job, wait=Wait(note, longest_s=60.0))

    def _follow_lost(self, work: HandOverWork) -> HandOverResult:
        """Follow a job of this home whose files are gone; end it if the scheduler does not show it for long.

        This includes a job whose start only the ledger records: a queue may be slow to show it.
        """
        scheduler_job_ids = self.scheduler.find(work.tag) or self.stop_claim.shown_as(
            work.tag, _recorded_id(work)
        )
        if scheduler_job_ids:
            return self._submitted(work, scheduler_job_ids, "", split_options(work.job.submit_opt))
        if work.space.owner() is None:
            work.space.rebuild(work.owner)
        now, boot_id = self.clock.elapsed(), self.clock.boot_id()
        first = work.space.first_miss()
        if first is None or first.boot_id != boot_id:
            first = FirstMiss(boot_id, now)
            work.space.note_miss(first)
        if now - first.at < LOST_AFTER_S:
            note = "its files are gone, and the scheduler does not know it: it is looked for again"
            return HandOverResult(job=work.job, wait=Wait(note, longest_s=60.0))
        return self._end(work, self._lost(work, now - first.at))

    def _lost(self, work: HandOverWork, unknown_s: float) -> str:
        """Explain the end of a job that was started here and has left no other trace."""
        if work.job.time_ready is None:
            started_at = self.workspace.started_at(work.tag, work.job.submission)
            if started_at is not None:
                return _started_before(work.tag, started_at)
        return (
            f"lost: its files under {work.space.work_dir} were removed before it had ended, and the "
            f"scheduler has not known it for {unknown_s:.0f} s; it was not started again"
        )

    # An attempt ------------------------------------------------------------------------------

    def _with_header_lines(self, work: HandOverWork) -> HandOverWork:
        """Return *work* with the header lines of the job shell; that of a meta job has none.

        The job shell is read only if another process wrote it.
        """
        if work.job.is_meta or work.header_lines is not None:
            return work
        job_shell = work.space.read_job_shell()
        lines = () if job_shell is None else header_lines(job_shell, self.scheduler.dialect.header)
        return evolve(work, header_lines=lines)

    def _plan(self, work: HandOverWork, attempt: int = 1) -> SubmitPlan:
        return self.scheduler.plan(
            Submission(
                tag=work.tag,
                job_shell=work.space.job_shell_for(attempt),
                work_dir=work.space.work_dir,
                control_dir=work.space.control_dir,
                options=_options(work),
                header_lines=work.header_lines or (),
                array=work.job.array_tid,
                name=work.job.name,
            )
        )

    def _submit(self, work: HandOverWork, number: int) -> HandOverResult:
        try:
            plan = self._plan(work, number)
            work = _with_array_of(plan, work)
            work.permit.commit()  # no submission follows a cancel
            files = work.space.begin_attempt(number, plan.command, self.scheduler.submit_time_limit_s)
            if work.job.submission:
                self.workspace.note_start(work.tag, work.job.submission)
            scheduler_job_id = self.scheduler.submit(plan, files)
        except (SubmitRefused, InvalidInput) as error:
            return self._refused(work, error)
        except SubmitDeferred as error:
            return _waits(work, Wait(str(error), first_s=30.0))
        except SubmitUncertain as error:
            return _waits(work, Wait(str(error), first_s=0))
        return self._submitted(work, (scheduler_job_id,), plan.command, plan.submission.options)

    def _submitted(
        self, work: HandOverWork, scheduler_job_ids: tuple[str, ...], command: str, options: tuple[str, ...]
    ) -> HandOverResult:
        job = self.record_submission(work.job, work.space, scheduler_job_ids[0], command, options)
        return HandOverResult(job=job, scheduler_job_ids=scheduler_job_ids)

    def _refused(self, work: HandOverWork, error: CloudqError) -> HandOverResult:
        if scheduler_job_ids := self.scheduler.find(work.tag):
            return self._submitted(work, scheduler_job_ids, "", _options(work))
        return self._end(work, str(error))

    def _end(self, work: HandOverWork, reason: str) -> HandOverResult:
        return self.end_unstarted(work.job, work.space, work.owner, JobState.ERROR, reason)

    # After a crash, or an attempt without an answer ------------------------------------------

    def _recover(self, work: HandOverWork, attempts: tuple[Attempt, ...]) -> HandOverResult:
        last, options = attempts[-1], _options(work)
        with suppress(SubmitRefused):  # then nothing was ever submitted
            work = _with_array_of(self._plan(work), work)  # which determines the names of the records
        if started := _started(work):
            return self._submitted(work, started, last.command, options)
        scheduler_job_ids, problems = self._read_answers(work.space, attempts)
        problem = problems[-1]
        if scheduler_job_ids := scheduler_job_ids or _recorded_id(work):
            return self._submitted(work, scheduler_job_ids, last.command, options)
        if isinstance(problem, SubmitRefused):
            return self._refused(work, problem)
        if not work.space.is_prepared():
            return self._follow_lost(work)
        if isinstance(problem, SubmitDeferred):
            return self._submit(work, last.number + 1)
        if self._is_over(last):
            return self._look_for(work, last, problems)
        return _waits(work, Wait("a submit command is still running", first_s=0))

    def _read_answers(
        self, space: ClaimSpace, attempts: tuple[Attempt, ...]
    ) -> tuple[tuple[str, ...], list[SchedulerProblem | None]]:
        """Return the scheduler job ids in the attempts' files, and the problem, if any, of each attempt."""
        scheduler_job_ids: list[str] = []
        problems: list[SchedulerProblem | None] = []
        for attempt in attempts:
            try:
                scheduler_job_id = self.scheduler.submitted(space.attempt_files(attempt.number))
            except (SubmitRefused, SubmitDeferred, SubmitUncertain) as error:
                problems.append(error)
            else:
                problems.append(None)
                scheduler_job_ids.extend([scheduler_job_id] if scheduler_job_id else [])
        return tuple(dict.fromkeys(scheduler_job_ids)), problems

    def _is_over(self, attempt: Attempt) -> bool:
        """Return whether the submit command of *attempt* can have no further effect."""
        if attempt.boot_id != self.clock.boot_id() or self.workspace.is_process_gone(attempt.process):
            return True
        return self.clock.elapsed() - attempt.begun_at >= attempt.time_limit_s

    def _look_for(
        self, work: HandOverWork, last: Attempt, problems: list[SchedulerProblem | None]
    ) -> HandOverResult:
        """Ask the scheduler twice, some time apart, before submitting again.

        The time of the first query is kept with the claim's files, so that one-shot agents make progress.
        A submit command that repeatedly succeeds without naming a job is not repeated forever.
        """
        problem = problems[-1]
        now, boot_id = self.clock.elapsed(), self.clock.boot_id()
        first = work.space.first_miss()
        if first is not None and first.boot_id == boot_id and now - first.at < self.scheduler.poll_interval_s:
            return _waits(work, None, is_looked_for=True)
        if scheduler_job_ids := self.scheduler.find(work.tag):
            work.space.note_miss(None)
            return self._submitted(work, scheduler_job_ids, last.command, _options(work))
        if first is None or first.boot_id != boot_id:
            work.space.note_miss(FirstMiss(boot_id, self.clock.elapsed()))
            what = problem or "an attempt to submit left no trace"
            note = f"{what}; looking for it before the next attempt"
            return _waits(work, Wait(note, first_s=0), is_looked_for=True)
        work.space.note_miss(None)
        nameless = [error for error in problems if isinstance(error, NoJobId)]
        if problem is not None and len(nameless) >= MOST_ATTEMPTS_WITHOUT_ID:
            return self._refused(work, problem)
        return self._submit(work, last.number + 1)


def _recorded_id(work: HandOverWork) -> tuple[str, ...]:
    """Return the scheduler job id in the record: such a job is followed, and never submitted again."""
    return (work.job.jobid,) if work.job.jobid else ()


def _options(work: HandOverWork) -> tuple[str, ...]:
    """Return the job's options for the submit command."""
    return work.space.kept_options() if work.job.is_meta else split_options(work.job.submit_opt)


def _with_array_of(plan: SubmitPlan, work: HandOverWork) -> HandOverWork:
    """Return *work* with the array that will run: the script or the options may also request one."""
    if plan.array == work.job.array_tid:
        return work
    return evolve(work, job=evolve(work.job, array_tid=plan.array))


def _waits(work: HandOverWork, wait: Wait | None, *, is_looked_for: bool = False) -> HandOverResult:
    return HandOverResult(
        job=work.job, wait=wait, is_looked_for=is_looked_for, header_lines=work.header_lines
    )


def _started(work: HandOverWork) -> tuple[str, ...]:
    """Return the ids of the scheduler jobs that hold a lock: they have certainly started."""
    records = work.space.records(work.job.task_ids).values()
    holders = {task_records.holder for task_records in records if task_records.holder is not None}
    return tuple(sorted(holders - {BLOCKED}))


def _started_before(tag: ClaimTag, at: datetime) -> str:
    return (
        f"not started again: claim {tag.n} of this job was started here on {at:%Y-%m-%d at %H:%M} UTC, and "
        "its files are gone: they were removed, or the bucket was restored from a backup. To run the job "
        "once more, rerun it."
    )


def has_lost_its_files(job: Job, space: ClaimSpace) -> bool:
    """Return whether a job handed over from this home lost its files: it must never be submitted again.

    Another home that follows the job may have recorded only its start.
    """
    if space.owner() is None:
        return job.time_ready is not None or job.time_start is not None
    return space.lost() is not None
