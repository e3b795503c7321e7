"""Submit a final job once more: all of it, or only the tasks that failed."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve, frozen

from cloudq.application.client.submit_job import SubmitJob, SubmitRequest, Submitted
from cloudq.domain.errors import JobStateConflict
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.place import place_job
from cloudq.ports.job_repository import JobFiles, JobRepository


@frozen
class RerunRequest:
    """The job to rerun, and what to change for the new one; empty fields change nothing."""

    job_id: str
    only_failed: bool = False
    submit_to: str = ""
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    hold_jid: tuple[str, ...] = ()
    hold_ok_jid: tuple[str, ...] = ()
    force: bool = False
    """Submit even to a system as which no agent ever reported."""


@frozen
class RerunJob:
    """Make a new job from the script, options and inputs of an old one."""

    jobs: JobRepository
    files: JobFiles
    submit: SubmitJob

    def __call__(self, request: RerunRequest, scratch: Path) -> Submitted:
        """Submit the new job; the inputs pass through the directory *scratch*.

        Raises `JobNotFound`, `JobStateConflict` for a job that is not final or in which nothing failed, and
        the errors of `SubmitJob`.
        """
        job = self.jobs.load(request.job_id).job
        if not job.is_final:
            raise JobStateConflict(f"Job ({job.uuid}) has not ended yet: {job.state.value}.")
        array = _failed_tasks(job) if request.only_failed else job.array_tid
        script = self.files.script(job)
        meta = MetaScript.parse(script.name, script.body) if job.is_meta else None
        anywhere = request.only or request.without
        place = place_job(
            meta, request.submit_to or ("" if anywhere else job.submit_to), request.only, request.without
        )
        submitted = self.submit(
            SubmitRequest(
                script=script,
                submit_to=place.systems or (() if meta else job.invited),
                submit_opt=job.submit_opt,
                hold_jid=request.hold_jid,
                hold_ok_jid=request.hold_ok_jid,
                array_tid=array,
                input_archive=self._inputs(job, scratch),
                input_contents=job.input_contents,
                force=request.force,
                meta=meta,
                only=place.only,
                without=place.without,
            )
        )
        return evolve(submitted, warnings=(*place.warnings, *submitted.warnings))

    def _inputs(self, job: Job, scratch: Path) -> Path | None:
        if not job.has_input:
            return None
        archive = scratch / "input.zip"
        self.files.fetch_input(job.uuid, archive)
        return archive


def _failed_tasks(job: Job) -> ArrayRange | None:
    """Return the tasks that are not DONE; None for a failed job without tasks."""
    states = job.tasks.as_dict()
    failed = [task for task, state in states.items() if state.state is not JobState.DONE]
    if not failed and (states or job.state is JobState.DONE):
        raise JobStateConflict(f"No part of job ({job.uuid}) failed, so no new job was submitted.")
    if job.array_tid is None or not failed:
        return job.array_tid
    return evolve(ArrayRange.covering(failed), max_running=job.array_tid.max_running)
