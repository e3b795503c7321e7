"""Hand a claimed job over to the scheduler: at most once that counts (protocol section 4)."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from attrs import evolve, frozen

from cloudq.application.agent_settings import AgentSettings
from cloudq.application.held_job import HeldJob
from cloudq.application.hold_lease import HoldLease
from cloudq.application.job_trouble import AgentLog
from cloudq.application.local_scripts import LocalScripts
from cloudq.application.stop_claim import StopClaim
from cloudq.domain.errors import (
    ArchiveRejected,
    CloudqError,
    InvalidInput,
    NoJobId,
    ObjectNotFound,
    RecordRejected,
    SchedulerProblem,
    SubmitDeferred,
    SubmitRefused,
    SubmitUncertain,
    WorkspaceProblem,
)
from cloudq.domain.header import Header, read_header
from cloudq.domain.job_shell import (
    BLOCKED,
    JobShellPlan,
    MetaSetting,
    render_job_shell,
)
from cloudq.domain.job_state import JobState
from cloudq.domain.jobscript import Jobscript
from cloudq.domain.local_script import local_name_of
from cloudq.domain.names import ClaimTag
from cloudq.domain.submit_options import join_options, split_options
from cloudq.domain.task_states import TaskState, TaskStates
from cloudq.ports.batch_scheduler import BatchScheduler, Submission
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobFiles
from cloudq.ports.workspace import Attempt, FirstMiss, SpaceOwner, Workspace

MOST_ATTEMPTS_WITHOUT_ID = 3
"""Attempts that end well and name no job, after which the job is given up: one may be an accident."""


@frozen
class HandOverJob:
    """Brings a held job to the scheduler, or finds out that an earlier attempt did."""

    lease: HoldLease
    files: JobFiles
    scheduler: BatchScheduler
    workspace: Workspace
    clock: Clock
    settings: AgentSettings
    stop_claim: StopClaim
    local_scripts: LocalScripts
    log: AgentLog

    def __call__(self, held: HeldJob) -> None:
        """Go one step on; errors that may pass are raised, refusals end the job.

        Raises `LeaseLost` where a successor may have ended the job and removed its lock long ago.
        """
        self.lease.require()
        if held.is_elsewhere or self._has_lost_its_files(held):
            self._follow_only(held)
        elif attempts := held.space.attempts():
            self._recover(held, attempts)
        else:
            self._begin(held)

    # A job whose files are out of sight ------------------------------------------------------

    def _has_lost_its_files(self, held: HeldJob) -> bool:
        """The record says it was handed over, and nothing of it is here: never submit again."""
        return held.space.owner() is None and held.job.time_ready is not None

    def _follow_only(self, held: HeldJob) -> None:
        held.is_elsewhere = True
        held.local_ids = self.scheduler.find(held.tag)
        if not held.local_ids:
            held.back_off(
                self.clock.elapsed(),
                "its files are under another home, or gone: it is followed, never submitted again; "
                "see 'cloudqcli requeue'",
                longest_s=60.0,
            )

    # The first attempt -----------------------------------------------------------------------

    def _begin(self, held: HeldJob) -> None:
        if self._was_started_before(held):
            return
        try:
            self._prepare(held)
        except (RecordRejected, ArchiveRejected, ObjectNotFound, SubmitRefused, InvalidInput) as error:
            self.end_unstarted(held, JobState.ERROR, str(error))
            return
        self._submit(held, 1)

    def _was_started_before(self, held: HeldJob) -> bool:
        """Whether this home started the same claim before, of which its bucket and files know nothing."""
        if not held.job.submission:
            return False
        started_at = self.workspace.started_at(held.tag, held.job.submission)
        if started_at is None:
            return False
        if found := self.scheduler.find(held.tag):
            self._handed_over(held, found, "", split_options(held.job.submit_opt))
        else:
            self.end_unstarted(held, JobState.ERROR, _started_before(held.tag, started_at))
        return True

    def _prepare(self, held: HeldJob) -> None:
        space, job = held.space, held.job
        space.create(SpaceOwner(self.settings.system, held.tag, held.claim_nonce))
        script = self.files.script(job)
        if job.has_input:
            self.files.fetch_input(job.uuid, space.archive)
            if space.attempts():  # somebody else went on while this took so long
                raise WorkspaceProblem(f"claim {held.tag} was handed over by another agent meanwhile")
            space.extract_input()
        # After the input, which may hold a file of this name: the script is what was submitted.
        if job.is_meta:
            self._install_converted(held, script)
        else:
            path = space.install_script(script.name, script.body)
            header = read_header(script, split_options(job.submit_opt), self.scheduler.dialect.header)
            self._install_job_shell(held, path, script.has_shebang, header)
        space.note_baseline()

    def _install_converted(self, held: HeldJob, script: Jobscript) -> None:
        """Of a meta jobscript: what it is here. Its options go to the submit command as words."""
        space, job = held.space, held.job
        local = self.local_scripts.convert(job, script)
        self.files.put_local_script(held.tag, Jobscript(local.name, local.body))
        path = space.install_script(local.name, local.body)
        tools = str(space.install_tools())
        space.keep_options((*local.options, *split_options(job.submit_opt)))
        setting = self.local_scripts.setting(job, local, tools)
        self._install_job_shell(held, path, local.has_shebang, Header(), setting)
        self._learn_array(held)
        if held.job.array_tid != setting.array:
            setting = self.local_scripts.setting(held.job, local, tools)
            self._install_job_shell(held, path, local.has_shebang, Header(), setting)

    def _install_job_shell(
        self,
        held: HeldJob,
        script: Path,
        has_shebang: bool,
        header: Header,
        meta: MetaSetting | None = None,
    ) -> None:
        space = held.space
        plan = JobShellPlan(
            tag=held.tag,
            control_dir=str(space.control_dir),
            work_dir=str(space.work_dir),
            script_path=str(script),
            has_shebang=has_shebang,
            directives=header.directives,
            interpreter=header.interpreter,
            meta=meta,
        )
        space.install_job_shell(render_job_shell(plan, self.scheduler.dialect))

    def _options(self, held: HeldJob) -> tuple[str, ...]:
        """The words for the submit command."""
        return held.space.kept_options() if held.job.is_meta else split_options(held.job.submit_opt)

    def _submission(self, held: HeldJob, attempt: int = 1) -> Submission:
        return Submission(
            tag=held.tag,
            job_shell=held.space.job_shell_for(attempt),
            work_dir=held.space.work_dir,
            control_dir=held.space.control_dir,
            options=self._options(held),
            array=held.job.array_tid,
            name=held.job.name,
        )

    def _learn_array(self, held: HeldJob) -> None:
        """An array may be asked for inside the script or in the user's options, too."""
        array = self.scheduler.planned_array(self._submission(held))
        if array != held.job.array_tid:
            held.job = evolve(held.job, array_tid=array)

    def _submit(self, held: HeldJob, number: int) -> None:
        try:
            self._learn_array(held)
            submission = self._submission(held, number)
            command = self.scheduler.describe(submission)
            self.lease.require()  # preparing may have taken hours
            files = held.space.begin_attempt(number, command, self.scheduler.submit_time_limit_s)
            if held.job.submission:
                self.workspace.note_start(held.tag, held.job.submission)
            local_id = self.scheduler.submit(submission, files)
        except (SubmitRefused, InvalidInput) as error:
            self._refused(held, error)
        except SubmitDeferred as error:
            held.back_off(self.clock.elapsed(), str(error), first_s=30.0)
        except SubmitUncertain as error:
            held.note = str(error)
        else:
            self._handed_over(held, (local_id,), command, submission.options)

    def _handed_over(
        self, held: HeldJob, local_ids: tuple[str, ...], command: str, options: tuple[str, ...]
    ) -> None:
        held.recovered()
        held.local_ids = local_ids
        if held.job.time_ready is not None:
            return
        held.space.note_miss(None)  # what was missed while it was looked for tells nothing of its end
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
        """End a job whose script has not started, once no submission can start it any more."""
        tasks = held.job.task_ids
        if held.space.owner() is None:
            held.space.create(SpaceOwner(self.settings.system, held.tag, held.claim_nonce))
        started = self.stop_claim.block(held.space, tasks)
        if started:
            self._handed_over(held, started, "", split_options(held.job.submit_opt))
            return
        held.end = TaskState(state, reason=reason)
        if held.job.array_tid is not None:
            held.job = evolve(held.job, tasks=TaskStates.all_alike(held.job.array_tid, state))

    # After a crash, or an attempt without an answer ------------------------------------------

    def _recover(self, held: HeldJob, attempts: tuple[Attempt, ...]) -> None:
        last = attempts[-1]
        options = self._options(held)
        with suppress(SubmitRefused):  # then nothing was ever submitted
            self._learn_array(held)
        if started := self._started(held):
            self._handed_over(held, started, last.command, options)
            return
        found, problems = self._told_by_files(held, attempts)
        refusal = problems[-1]
        if found:
            self._handed_over(held, found, last.command, options)
        elif isinstance(refusal, SubmitRefused):
            self._refused(held, refusal)
        elif isinstance(refusal, SubmitDeferred):
            self._submit(held, last.number + 1)
        elif self._is_over(last):
            self._look_for(held, last, options, problems)
        else:
            held.note = "a submit command is still running"

    def _started(self, held: HeldJob) -> tuple[str, ...]:
        """The local jobs that hold a lock: they have started for certain."""
        records = held.space.records(held.job.task_ids).values()
        holders = {each.holder for each in records if each.holder is not None}
        return tuple(sorted(holders - {BLOCKED}))

    def _told_by_files(
        self, held: HeldJob, attempts: tuple[Attempt, ...]
    ) -> tuple[tuple[str, ...], list[SchedulerProblem | None]]:
        """The local jobs that the attempts' files name, and what went wrong with each attempt."""
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
        """Whether the submit command of *attempt* can do nothing any more."""
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

        The first look is kept with the claim's files, so that agents that live shortly get on. A
        submit command that keeps ending well without naming a job is not repeated for ever.
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
                f"{problem or 'an attempt to submit left no trace'}; looking for it before the next one"
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
        "its files are gone. The bucket seems to have been restored from a backup. To run the job once "
        f"more: cloudqcli submit --rerun {tag.job_id}"
    )
