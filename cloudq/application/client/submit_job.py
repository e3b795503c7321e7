"""Submit a job: check the request, then write the record, the files, the queue entries and the doorbells."""

from __future__ import annotations

from attrs import asdict, evolve, frozen

from cloudq.application.client.check_submission import CheckSubmission
from cloudq.application.client.find_systems import Choice
from cloudq.domain.errors import JobIdTaken, MaybeSubmitted, StoreProblem, StoreUnavailable
from cloudq.domain.jobs.job import Job, StateChange
from cloudq.domain.jobs.job_request import JobRequest
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.header import late_lines
from cloudq.domain.scripts.jobscript import META, Jobscript
from cloudq.domain.scripts.system_mapping import NameTables
from cloudq.ports.client_memory import NO_MEMORY, ClientMemory
from cloudq.ports.clock import Clock, IdSource
from cloudq.ports.job_repository import JobFiles, JobQueue, JobRepository

MAX_ID_ATTEMPTS = 8


@frozen
class Submitted:
    """The job as it was submitted, and warnings for its owner."""

    job: Job
    warnings: tuple[str, ...] = ()


@frozen
class SubmitJob:
    """Put a job into the bucket (protocol 3.1)."""

    jobs: JobRepository
    queue: JobQueue
    files: JobFiles
    check: CheckSubmission
    names: NameTables
    clock: Clock
    ids: IdSource
    client: str
    memory: ClientMemory = NO_MEMORY

    def __call__(self, request: JobRequest) -> Submitted:
        """Submit a job, or raise `InvalidInput` or `UnknownSystem` before anything is written.

        Raises `MaybeSubmitted` if the store did not confirm the last steps.
        """
        submitted = self.put(request, self.check.choose_systems(request))
        self.memory.note_submission(submitted.job.uuid)
        return submitted

    def put(self, request: JobRequest, choice: Choice, *, ring: bool = True) -> Submitted:
        """Submit a job to the systems of *choice*, which were checked already.

        Without *ring*, the caller must ring the doorbells of these systems. The memory does not change.
        """
        try:
            job = self._put(request, choice.systems)
        except StoreUnavailable as error:  # without a queue entry, no agent sees what was written
            raise StoreUnavailable(f"The job was not submitted: {error}") from error
        warnings = (*request.warnings, *choice.warnings, *job.remarks)
        return Submitted(job, (*warnings, *self._invite(job, ring=ring)))

    def _put(self, request: JobRequest, systems: tuple[str, ...]) -> Job:
        job = self._reserve(self._job(request, systems))
        self.files.put_script(job.uuid, Jobscript(job.name, request.script.body))
        if request.input_archive is not None:
            self.files.put_input(job.uuid, request.input_archive)
        if request.task_arguments:
            self.files.put_task_arguments(job.uuid, request.task_arguments)
        return job

    def _job(self, request: JobRequest, systems: tuple[str, ...]) -> Job:
        now = self.clock.now()
        archive, contents, meta = request.input_archive, request.input_contents, request.meta
        size = len(request.script.body) + (archive.stat().st_size if archive else 0)
        name = request.name or request.script.name
        return Job(
            uuid=self.ids.job_id(),
            name=name,
            script_file="" if name == request.script.name else request.script.name,
            labels=request.labels,
            arguments=request.arguments,
            has_task_arguments=bool(request.task_arguments),
            environment=request.environment,
            outputs=request.outputs,
            **asdict(request.holds, recurse=False),  # the fields have the same names here
            array_tid=request.array_tid,
            submit_to=request.target.submit_to,
            submit_opt=request.submit_opt,
            time_submit=now,
            size_input=size,
            has_input=archive is not None,
            input_files=None if contents is None else contents.files,
            input_bytes=None if contents is None else contents.total_bytes,
            invited=systems,
            jobscript_type="local" if meta is None else META,
            mappings=() if meta is None else self.names.mappings(meta.project, meta.resource),
            client=self.client,
            submission=self.ids.nonce(),
            remarks=tuple(late_lines(request.script)) if meta is None else (),
            changes=(StateChange(JobState.INIT, now, "submitted"),),
        )

    def _reserve(self, job: Job) -> Job:
        for _ in range(MAX_ID_ATTEMPTS):
            try:
                return self.jobs.reserve(job).job
            except JobIdTaken:
                job = evolve(job, uuid=self.ids.job_id())
        raise StoreUnavailable("No free job id was found; the job was not submitted. Try again.")

    def _invite(self, job: Job, *, ring: bool) -> list[str]:
        warnings = []
        tag = ClaimTag(job.uuid, 1)
        for place, system in enumerate(job.invited):
            try:
                self.queue.invite(system, tag)
            except StoreProblem as error:
                if place == 0 and not isinstance(error, StoreUnavailable):
                    raise
                raise MaybeSubmitted(job.uuid, job.name, str(error)) from error
            if ring:
                warnings.extend(self.ring(system))
        return warnings

    def ring(self, system: str) -> list[str]:
        """Ring the doorbell of *system*; return a warning if that failed."""
        try:
            self.queue.ring(system)
        except StoreProblem as error:
            return [f"{system} could not be notified and will find the job a little later: {error}"]
        return []
