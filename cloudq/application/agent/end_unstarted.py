"""End a job whose script has not started, and record a submission that turns out to exist (protocol 4.7)."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve, frozen

from cloudq.application.agent.agent_settings import AgentSettings
from cloudq.application.agent.held_job import HandOverResult, Wait
from cloudq.application.agent.job_trouble import AgentLog
from cloudq.application.agent.stop_claim import StopClaim
from cloudq.domain.errors import WorkDirOccupied
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.task_states import TaskState, TaskStates
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.local_script import local_name_of
from cloudq.domain.scripts.submit_options import join_options, split_options
from cloudq.ports.clock import Clock
from cloudq.ports.workspace import ClaimSpace, SpaceOwner, Workspace


@frozen
class RecordSubmission:
    """Record in a job that the scheduler has it."""

    clock: Clock
    settings: AgentSettings
    log: AgentLog

    def __call__(
        self, job: Job, space: ClaimSpace, scheduler_job_id: str, command: str, options: tuple[str, ...]
    ) -> Job:
        """Return *job* with its submission; unchanged if one is recorded already."""
        if job.time_ready is not None:
            return job
        space.note_miss(None)  # a miss during the search is no evidence of its end
        submitted = evolve(
            job,
            workdir=str(space.work_dir),
            local_account=self.settings.account,
            local_group=self.settings.group,
            submit_command=command,
            submit_opt_local=join_options(options),
            local_name=local_name_of(job.name) if job.is_meta else job.name,
        )
        self.log.info("job handed over", job=job.uuid, name=job.name, scheduler_job_id=scheduler_job_id)
        return submitted.handed_over(scheduler_job_id, self.clock.now())


@frozen
class EndUnstarted:
    """End a job before its start, after making sure that no submission can start its script."""

    workspace: Workspace
    stop_claim: StopClaim
    record_submission: RecordSubmission
    doubt: Callable[[], str]
    """Why this home may be a copy whose original has other files; empty if there is no doubt."""

    def __call__(
        self, job: Job, space: ClaimSpace, owner: SpaceOwner, state: JobState, reason: str
    ) -> HandOverResult:
        """Return the final *state*, or the submission that has started the script.

        Wait while the home is in doubt (protocol 6.7): a lock here proves nothing about the original.
        """
        self.stop_claim.confirm()  # first: the answer may raise a doubt
        if doubt := self.doubt():
            return HandOverResult(job=job, wait=Wait(doubt, longest_s=60.0))
        is_its_place = self._make_place_for_locks(job, space, owner)
        if started := self.stop_claim.block(space, job.task_ids):
            options = split_options(job.submit_opt)
            submitted = self.record_submission(job, space, started[0], "", options)
            return HandOverResult(job=submitted, scheduler_job_ids=started)
        ended = job
        if job.array_tid is not None:
            ended = evolve(job, tasks=TaskStates.all_alike(job.array_tid, state))
        has_files = is_its_place or job.time_ready is not None
        return HandOverResult(job=ended, end=TaskState(state, reason=reason), has_files=has_files)

    def _make_place_for_locks(self, job: Job, space: ClaimSpace, owner: SpaceOwner) -> bool:
        """Make the control directory if it is missing, whatever is in the place of the work directory.

        Returns whether the work directory is the job's own.
        """
        present = space.owner()
        was_started = job.time_ready is not None or was_started_before(self.workspace, owner.tag, job)
        if present is None and was_started:
            space.rebuild(owner)  # the contents of the work directory are the job's
        elif present in {None, owner}:
            try:
                space.create(owner)
            except WorkDirOccupied:
                return False
        return True


def was_started_before(workspace: Workspace, tag: ClaimTag, job: Job) -> bool:
    """Return whether the ledger of this home records an earlier start of the same claim."""
    return bool(job.submission) and workspace.started_at(tag, job.submission) is not None
