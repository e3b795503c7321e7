"""Submit a job: check everything, then write the record, the files, the queue entries and the doorbells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import evolve, frozen

from cloudq.application.client.find_systems import FindSystems, Found, Wanted
from cloudq.application.shared.end_job import load_or_none
from cloudq.domain.errors import (
    CloudqError,
    InvalidInput,
    JobIdTaken,
    MaybeSubmitted,
    StoreProblem,
    StoreUnavailable,
)
from cloudq.domain.jobs.contents import Contents
from cloudq.domain.jobs.job import Job, StateChange
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.names import ClaimTag, checked_system
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.header import late_lines
from cloudq.domain.scripts.jobscript import META, Jobscript
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.submit_options import split_options
from cloudq.ports.clock import Clock, IdSource
from cloudq.ports.job_repository import JobFiles, JobQueue, JobRepository

MAX_ID_ATTEMPTS = 8


@frozen
class SubmitRequest:
    """A submission; *submit_to* names one system, or several of which the first to claim it runs the job.

    A *meta* jobscript needs no *submit_to*: every system that can run it is invited, except those that *only*
    and *without* exclude.
    """

    script: Jobscript
    submit_to: tuple[str, ...] = ()
    submit_opt: str = ""
    hold_jid: tuple[str, ...] = ()
    hold_ok_jid: tuple[str, ...] = ()
    array_tid: ArrayRange | None = None
    input_archive: Path | None = None
    input_contents: Contents | None = None
    """What the archive contains; the agent that extracts it relies on this."""
    force: bool = False
    """Submit even to a system as which no agent ever reported."""
    meta: MetaScript | None = None
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


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
    find_systems: FindSystems
    clock: Clock
    ids: IdSource
    client: str

    def __call__(self, request: SubmitRequest) -> Submitted:
        """Submit a job, or raise `InvalidInput` with all problems before anything is written.

        Raises `MaybeSubmitted` if the store did not confirm the last steps.
        """
        found = self._check(request)
        try:
            job = self._put(request, found.systems)
        except StoreUnavailable as error:  # without a queue entry, no agent sees what was written
            raise StoreUnavailable(f"The job was not submitted: {error}") from error
        return Submitted(job, (*found.warnings, *job.remarks, *self._invite(job)))

    def problems_in_the_store(
        self,
        hold_jid: Sequence[str],
        hold_ok_jid: Sequence[str],
        systems: Sequence[str],
        *,
        force: bool = False,
    ) -> tuple[str, ...]:
        """Return what the store shows to be wrong with these, for a report of all problems.

        If the store does not answer, the result may be incomplete.
        """
        problems: list[str] = []
        try:
            problems.extend(self._held_for_problems(hold_jid, hold_ok_jid))
        except CloudqError:
            return tuple(problems)
        return (*problems, *(self.find_systems.unknown(systems) if systems and not force else ()))

    def _put(self, request: SubmitRequest, systems: tuple[str, ...]) -> Job:
        job = self._reserve(self._job(request, systems))
        self.files.put_script(job.uuid, request.script)
        if request.input_archive is not None:
            self.files.put_input(job.uuid, request.input_archive)
        return job

    def _check(self, request: SubmitRequest) -> Found:
        problems: list[str] = []
        for check in (self._check_words, self._check_held_for):
            try:
                check(request)
            except InvalidInput as error:
                problems.extend(error.problems)
        found = Found(())
        try:
            found = self.find_systems(_wanted(request), problems)
        except InvalidInput as error:
            problems.extend(error.problems)
        if not problems and not found.systems:
            problems.append("no target system: pass --submit_to or set run_on in the script")
        if problems:
            raise InvalidInput(problems)
        return found

    def _check_words(self, request: SubmitRequest) -> None:
        split_options(request.submit_opt)
        for system in (*request.submit_to, *request.only, *request.without):
            checked_system(system)

    def _check_held_for(self, request: SubmitRequest) -> None:
        if problems := list(self._held_for_problems(request.hold_jid, request.hold_ok_jid)):
            raise InvalidInput(problems)

    def _held_for_problems(self, hold_jid: Sequence[str], hold_ok_jid: Sequence[str]) -> Iterator[str]:
        for job_id in hold_jid:
            if load_or_none(self.jobs, job_id) is None:
                yield f"hold_jid: job {job_id} does not exist"
        for job_id in hold_ok_jid:
            stored = load_or_none(self.jobs, job_id)
            if stored is None:
                yield f"hold_ok_jid: job {job_id} does not exist"
            elif stored.job.is_final and stored.job.state is not JobState.DONE:
                yield f"hold_ok_jid: job {job_id} ended as {stored.job.state.value}: this job would never run"

    def _job(self, request: SubmitRequest, systems: tuple[str, ...]) -> Job:
        now = self.clock.now()
        archive, contents = request.input_archive, request.input_contents
        size = len(request.script.body) + (archive.stat().st_size if archive else 0)
        return Job(
            uuid=self.ids.job_id(),
            name=request.script.name,
            hold_jid=request.hold_jid,
            hold_ok_jid=request.hold_ok_jid,
            array_tid=request.array_tid,
            submit_to=request.submit_to[0] if len(request.submit_to) == 1 else "",
            submit_opt=request.submit_opt,
            time_submit=now,
            size_input=size,
            has_input=archive is not None,
            input_files=None if contents is None else contents.files,
            input_bytes=None if contents is None else contents.total_bytes,
            invited=systems,
            jobscript_type="local" if request.meta is None else META,
            mappings=() if request.meta is None else self.find_systems.mappings(request.meta),
            client=self.client,
            submission=self.ids.nonce(),
            remarks=tuple(late_lines(request.script)) if request.meta is None else (),
            changes=(StateChange(JobState.INIT, now, "submitted"),),
        )

    def _reserve(self, job: Job) -> Job:
        for _ in range(MAX_ID_ATTEMPTS):
            try:
                return self.jobs.reserve(job).job
            except JobIdTaken:
                job = evolve(job, uuid=self.ids.job_id())
        raise StoreUnavailable("No free job id was found; the job was not submitted. Try again.")

    def _invite(self, job: Job) -> list[str]:
        warnings = []
        tag = ClaimTag(job.uuid, 1)
        for place, system in enumerate(job.invited):
            try:
                self.queue.invite(system, tag)
            except StoreProblem as error:
                if place == 0 and not isinstance(error, StoreUnavailable):
                    raise
                raise MaybeSubmitted(
                    f"Job ({job.uuid}) {job.name} may have been submitted: {error}\n"
                    "Look for it with: cloudqcli list; once it has ended: cloudqcli history"
                ) from error
            warnings.extend(self._ring(system))
        return warnings

    def _ring(self, system: str) -> list[str]:
        try:
            self.queue.ring(system)
        except StoreProblem as error:
            return [f"{system} could not be notified and will find the job a little later: {error}"]
        return []


def _wanted(request: SubmitRequest) -> Wanted:
    return Wanted(
        pinned=request.submit_to,
        script=request.meta,
        array=request.array_tid,
        only=request.only,
        without=request.without,
        force=request.force,
    )
