"""Hand a claimed job over to the scheduler, so that its script starts at most once (protocol section 4)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from attrs import evolve, frozen

from cloudq.application.agent.agent_settings import AgentSettings
from cloudq.application.agent.held_job import HeldJob, StagedOut
from cloudq.application.agent.job_trouble import AgentLog
from cloudq.application.agent.permit import Permit
from cloudq.application.agent.stop_claim import StopClaim
from cloudq.domain.errors import (
    CloudqError,
    InvalidInput,
    NoJobId,
    SchedulerProblem,
    SubmitDeferred,
    SubmitRefused,
    SubmitUncertain,
    WorkDirOccupied,
)
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_shell import (
    BLOCKED,
)
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.task_states import TaskState, TaskStates
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.header import header_lines
from cloudq.domain.scripts.local_script import local_name_of
from cloudq.domain.scripts.submit_options import join_options, split_options
from cloudq.ports.batch_scheduler import BatchScheduler, Submission, SubmitPlan
from cloudq.ports.clock import Clock
from cloudq.ports.workspace import Attempt, FirstMiss, Workspace

LOST_AFTER_S = 600.0
"""How long a job without files must be unknown to the scheduler before it ends with ERROR.

The files may be out of sight for a moment.
"""
MOST_ATTEMPTS_WITHOUT_ID = 3
"""How many attempts that succeed without naming a job end it; a single one may be an accident."""


@frozen
class HandOverJob:
    """Submit a prepared job to the scheduler, or find the submission of an earlier attempt.

    Runs in the background, on a copy of the held job that has a permit.
    """

    scheduler: BatchScheduler
    workspace: Workspace
    clock: Clock
    settings: AgentSettings
    stop_claim: StopClaim
    log: AgentLog
    doubt: Callable[[], str]
    """Why this home may be a copy whose original has other files; empty if there is no doubt."""

    def __call__(self, held: HeldJob) -> None:
        """Take the next step; raise errors that may pass, and end the job if it is refused.

        Raises `LeaseLost` if a successor may have ended the job and removed its lock long ago.
        """
        permit_of(held).require()
        if held.is_elsewhere:
            self._follow_only(held)
        elif has_lost_its_files(held):
            self._follow_lost(held)
        elif attempts := held.space.attempts():
            self._recover(held, attempts)
        elif self.was_started_before(held):
            self._follow_lost(held)
        elif held.space.is_prepared():  # else its files were removed since, and are made again
            held.space.create(held.owner(self.settings.system))
            self._submit(held, 1)

    # A job whose files are out of sight ------------------------------------------------------

    def _follow_only(self, held: HeldJob) -> None:
        held.local_ids = self.scheduler.find(held.tag)
        if not held.local_ids:
            held.back_off(
                self.clock.elapsed(),
                "its files are under another home: it is followed, never submitted again; "
                "see 'cloudqcli requeue'",
                longest_s=60.0,
            )

    def _follow_lost(self, held: HeldJob) -> None:
        """Follow a job of this home whose files are gone; end it if the scheduler does not show it for long.

        This includes a job whose start only the ledger records: a queue may be slow to show it.
        """
        found = self.scheduler.find(held.tag) or self.stop_claim.shown_as(held.tag, _recorded_id(held.job))
        if found:
            self._handed_over(held, found, "", split_options(held.job.submit_opt))
            return
        if held.space.owner() is None:
            held.space.rebuild(held.owner(self.settings.system))
        now, boot_id = self.clock.elapsed(), self.clock.boot_id()
        first = held.space.first_miss()
        if first is None or first.boot_id != boot_id:
            first = FirstMiss(boot_id, now)
            held.space.note_miss(first)
        if now - first.at < LOST_AFTER_S:
            note = "its files are gone, and the scheduler does not know it: it is looked for again"
            held.back_off(now, note, longest_s=60.0)
            return
        self.end_unstarted(held, JobState.ERROR, self._lost(held, now - first.at))

    def _lost(self, held: HeldJob, unknown_s: float) -> str:
        """Explain the end of a job that was started here and has left no other trace."""
        if held.job.time_ready is None:
            started_at = self.workspace.started_at(held.tag, held.job.submission)
            if started_at is not None:
                return _started_before(held.tag, started_at)
        return (
            f"lost: its files under {held.space.work_dir} were removed before it had ended, and the "
            f"scheduler has not known it for {unknown_s:.0f} s; it was not started again"
        )

    # An attempt ------------------------------------------------------------------------------

    def was_started_before(self, held: HeldJob) -> bool:
        """Return whether the ledger of this home records an earlier start of the same claim."""
        submission = held.job.submission
        return bool(submission) and self.workspace.started_at(held.tag, submission) is not None

    def _options(self, held: HeldJob) -> tuple[str, ...]:
        """Return the job's options for the submit command."""
        return held.space.kept_options() if held.job.is_meta else split_options(held.job.submit_opt)

    def _header_lines(self, held: HeldJob) -> tuple[str, ...]:
        """Return the header lines of the job shell; that of a meta job has none.

        The job shell is read only if another process wrote it.
        """
        if held.job.is_meta:
            return ()
        if held.header_lines is None and (job_shell := held.space.read_job_shell()) is not None:
            held.header_lines = header_lines(job_shell, self.scheduler.dialect.header)
        return held.header_lines or ()

    def _plan(self, held: HeldJob, attempt: int = 1) -> SubmitPlan:
        """Return the submit command; update the array, which the script or the options may also request."""
        submission = Submission(
            tag=held.tag,
            job_shell=held.space.job_shell_for(attempt),
            work_dir=held.space.work_dir,
            control_dir=held.space.control_dir,
            options=self._options(held),
            header_lines=self._header_lines(held),
            array=held.job.array_tid,
            name=held.job.name,
        )
        plan = self.scheduler.plan(submission)
        if plan.array != held.job.array_tid:
            held.job = evolve(held.job, array_tid=plan.array)
        return plan

    def _submit(self, held: HeldJob, number: int) -> None:
        try:
            plan = self._plan(held, number)
            permit_of(held).commit()  # no submission follows a cancel
            files = held.space.begin_attempt(number, plan.command, self.scheduler.submit_time_limit_s)
            if held.job.submission:
                self.workspace.note_start(held.tag, held.job.submission)
            local_id = self.scheduler.submit(plan, files)
        except (SubmitRefused, InvalidInput) as error:
            self._refused(held, error)
        except SubmitDeferred as error:
            held.back_off(self.clock.elapsed(), str(error), first_s=30.0)
        except SubmitUncertain as error:
            held.note = str(error)
        else:
            self._handed_over(held, (local_id,), plan.command, plan.submission.options)

    def _handed_over(
        self, held: HeldJob, local_ids: tuple[str, ...], command: str, options: tuple[str, ...]
    ) -> None:
        held.recovered()
        held.local_ids = local_ids
        if held.job.time_ready is not None:
            return
        held.space.note_miss(None)  # a miss during the search is no evidence of its end
        job = evolve(
            held.job,
            workdir=str(held.space.work_dir),
            local_account=self.settings.account,
            local_group=self.settings.group,
            submit_command=command,
            submit_opt_local=join_options(options),
            local_name=local_name_of(held.job.name) if held.job.is_meta else held.job.name,
        )
        held.job = job.handed_over(local_ids[0], self.clock.now())
        self.log.info("job handed over", job=held.job.uuid, name=held.job.name, local_id=local_ids[0])

    def _refused(self, held: HeldJob, error: CloudqError) -> None:
        found = self.scheduler.find(held.tag)
        if found:
            self._handed_over(held, found, "", self._options(held))
        else:
            self.end_unstarted(held, JobState.ERROR, str(error))

    def end_unstarted(self, held: HeldJob, state: JobState, reason: str) -> None:
        """End a job whose script has not started, after making sure that no submission can start it.

        Back off while the home is in doubt (protocol 6.7): a lock here proves nothing about the original.
        """
        if doubt := self.doubt():
            held.back_off(self.clock.elapsed(), doubt, longest_s=60.0)
            return
        tasks = held.job.task_ids
        is_its_place = self._make_place_for_locks(held)
        started = self.stop_claim.block(held.space, tasks)
        if started:
            self._handed_over(held, started, "", split_options(held.job.submit_opt))
            return
        held.end = TaskState(state, reason=reason)
        if not is_its_place and held.job.time_ready is None:
            held.staged_out = StagedOut()  # the files there are not this job's
        if held.job.array_tid is not None:
            held.job = evolve(held.job, tasks=TaskStates.all_alike(held.job.array_tid, state))

    def _make_place_for_locks(self, held: HeldJob) -> bool:
        """Make the control directory if it is missing, whatever is in the place of the work directory.

        Returns whether the work directory is the job's own.
        """
        owner, found = held.owner(self.settings.system), held.space.owner()
        if found is None and (held.job.time_ready is not None or self.was_started_before(held)):
            held.space.rebuild(owner)  # the contents of the work directory are the job's
        elif found in {None, owner}:
            try:
                held.space.create(owner)
            except WorkDirOccupied:
                return False
        return True

    # After a crash, or an attempt without an answer ------------------------------------------

    def _recover(self, held: HeldJob, attempts: tuple[Attempt, ...]) -> None:
        last = attempts[-1]
        options = self._options(held)
        with suppress(SubmitRefused):  # then nothing was ever submitted
            self._plan(held)  # for the array, which determines the names of the records
        if started := self._started(held):
            self._handed_over(held, started, last.command, options)
            return
        found, problems = self._told_by_files(held, attempts)
        refusal = problems[-1]
        if found:
            self._handed_over(held, found, last.command, options)
        elif isinstance(refusal, SubmitRefused):
            self._refused(held, refusal)
        elif not held.space.is_prepared():
            self._follow_lost(held)
        elif isinstance(refusal, SubmitDeferred):
            self._submit(held, last.number + 1)
        elif self._is_over(last):
            self._look_for(held, last, options, problems)
        else:
            held.note = "a submit command is still running"

    def _started(self, held: HeldJob) -> tuple[str, ...]:
        """Return the ids of the scheduler jobs that hold a lock: they have certainly started."""
        records = held.space.records(held.job.task_ids).values()
        holders = {each.holder for each in records if each.holder is not None}
        return tuple(sorted(holders - {BLOCKED}))

    def _told_by_files(
        self, held: HeldJob, attempts: tuple[Attempt, ...]
    ) -> tuple[tuple[str, ...], list[SchedulerProblem | None]]:
        """Return the scheduler job ids in the attempts' files, and the problem, if any, of each attempt."""
        found: list[str] = []
        problems: list[SchedulerProblem | None] = []
        for attempt in attempts:
            try:
                local_id = self.scheduler.submitted(held.space.attempt_files(attempt.number))
            except (SubmitRefused, SubmitDeferred, SubmitUncertain) as error:
                problems.append(error)
            else:
                problems.append(None)
                found.extend([local_id] if local_id else [])
        return tuple(dict.fromkeys(found)), problems

    def _is_over(self, attempt: Attempt) -> bool:
        """Return whether the submit command of *attempt* can have no further effect."""
        if attempt.boot_id != self.clock.boot_id() or self.workspace.is_process_gone(attempt.process):
            return True
        return self.clock.elapsed() - attempt.begun_at >= attempt.time_limit_s

    def _look_for(
        self,
        held: HeldJob,
        last: Attempt,
        options: tuple[str, ...],
        problems: list[SchedulerProblem | None],
    ) -> None:
        """Ask the scheduler twice, some time apart, before submitting again.

        The time of the first query is kept with the claim's files, so that one-shot agents make progress.
        A submit command that repeatedly succeeds without naming a job is not repeated forever.
        """
        problem = problems[-1]
        now, boot_id = self.clock.elapsed(), self.clock.boot_id()
        first = held.space.first_miss()
        if first is not None and first.boot_id == boot_id and now - first.at < self.scheduler.poll_interval_s:
            return
        found = self.scheduler.find(held.tag)
        held.is_looked_for = not found
        if found:
            held.space.note_miss(None)
            self._handed_over(held, found, last.command, options)
        elif first is None or first.boot_id != boot_id:
            held.space.note_miss(FirstMiss(boot_id, self.clock.elapsed()))
            held.note = (
                f"{problem or 'an attempt to submit left no trace'}; looking for it before the next attempt"
            )
        else:
            held.is_looked_for = False
            held.space.note_miss(None)
            nameless = [each for each in problems if isinstance(each, NoJobId)]
            if problem is not None and len(nameless) >= MOST_ATTEMPTS_WITHOUT_ID:
                self._refused(held, problem)
            else:
                self._submit(held, last.number + 1)


def _started_before(tag: ClaimTag, at: datetime) -> str:
    return (
        f"not started again: claim {tag.n} of this job was started here on {at:%Y-%m-%d at %H:%M} UTC, and "
        "its files are gone: they were removed, or the bucket was restored from a backup. To run the job "
        f"once more: cloudqcli submit --rerun {tag.job_id}"
    )


def has_lost_its_files(held: HeldJob) -> bool:
    """Return whether a job handed over from this home lost its files: it must never be submitted again.

    Another home that follows the job may have recorded only its start.
    """
    if held.space.owner() is None:
        return held.job.time_ready is not None or held.job.time_start is not None
    return held.space.lost() is not None


def _recorded_id(job: Job) -> tuple[str, ...]:
    return (job.jobid,) if job.jobid else ()


def permit_of(held: HeldJob) -> Permit:
    """Return the permit of a copy that background work uses."""
    assert held.permit is not None  # noqa: S101 (only such copies are handed over)
    return held.permit
