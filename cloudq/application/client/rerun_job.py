"""Submit a final job once more: all of it, or only the tasks that failed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import evolve, frozen

from cloudq.application.client.check_submission import Source, notes_for_owner, script_of
from cloudq.application.client.submit_job import SubmitJob, Submitted
from cloudq.domain.errors import InvalidInput, JobStateConflict
from cloudq.domain.jobs.dependency import NO_HOLDS, Holds
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_request import JobRequest
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.problems import Problems
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.submit_options import checked_options
from cloudq.domain.scripts.target import AnySystem, Pinned, read_target
from cloudq.ports.job_repository import JobFiles, JobRepository


@frozen
class RerunJob:
    """Make a new job from the script, options and inputs of an old one."""

    jobs: JobRepository
    files: JobFiles
    submit: SubmitJob

    def __call__(
        self,
        job_id: str,
        scratch: Path,
        *,
        script: Source | None = None,
        only_failed: bool = False,
        submit_to: str = "",
        only: Sequence[str] = (),
        without: Sequence[str] = (),
        holds: Holds = NO_HOLDS,
        force: bool = False,
    ) -> Submitted:
        """Submit the new job; the inputs pass through the directory *scratch*.

        *script* replaces the script of the old job; everything else about the job stays.
        Without *submit_to*, *only* and *without*, the target is that of the old job. With *only_failed*, the
        new job has only the tasks that are not DONE.

        Raises `JobNotFound`, `JobStateConflict` for a job that is not final or in which nothing failed, and
        the errors of `SubmitJob`.
        """
        problems = Problems()
        problems.extend(holds.bad_ids())
        problems.raise_if_any()
        job = self.jobs.load(job_id).job
        if not job.is_final:
            raise JobStateConflict(f"Job ({job.uuid}) has not ended yet: {job.state.value}.")
        array = _failed_tasks(job) if only_failed else job.array_tid
        is_pinned = not job.is_meta or bool(submit_to or job.submit_to)
        new_script = self._script(job) if script is None else script_of(script, is_pinned)
        submit_to = submit_to or ("" if only or without else job.submit_to)
        target = read_target(new_script, submit_to, only, without)
        if isinstance(target, AnySystem) and not isinstance(new_script, MetaScript):
            target = _among(target, job)
        return self.submit(
            JobRequest(
                script=new_script,
                target=target,
                submit_opt=checked_options(job.submit_opt),
                holds=holds,
                array_tid=array,
                input_archive=self._inputs(job, scratch),
                input_contents=job.input_contents,
                name=job.name if job.script_file or script is None else "",
                labels=job.labels,
                arguments=job.arguments,
                task_arguments=self.files.task_arguments(job) if job.has_task_arguments else (),
                environment=job.environment,
                outputs=job.outputs,
                force=force,
                warnings=notes_for_owner(new_script, (submit_to, *only, *without)),
            )
        )

    def _script(self, job: Job) -> Jobscript:
        script = self.files.script(job)
        return MetaScript.parse(script.name, script.body) if job.is_meta else script

    def _inputs(self, job: Job, scratch: Path) -> Path | None:
        if not job.has_input:
            return None
        archive = scratch / "input.zip"
        self.files.fetch_input(job.uuid, archive)
        return archive


def _among(target: AnySystem, job: Job) -> Pinned:
    """Return the systems of *target* for a local jobscript, which runs only where its owner says."""
    systems = tuple(system for system in target.only or job.invited if target.allows(system))
    if not systems:
        raise InvalidInput(f"no system is left for job ({job.uuid}), which ran on {', '.join(job.invited)}")
    return Pinned(systems)


def _failed_tasks(job: Job) -> ArrayRange | None:
    """Return the tasks that are not DONE; None for a failed job without tasks."""
    states = job.tasks.as_dict()
    failed = [task for task, state in states.items() if state.state is not JobState.DONE]
    if not failed and (states or job.state is JobState.DONE):
        raise JobStateConflict(f"No part of job ({job.uuid}) failed, so no new job was submitted.")
    if job.array_tid is None or not failed:
        return job.array_tid
    return evolve(ArrayRange.covering(failed), max_running=job.array_tid.max_running)
