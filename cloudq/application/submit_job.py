"""Submit a job: everything checked first, then the record, the files, the markers, the bell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import evolve, frozen

from cloudq.application.end_job import load_or_none
from cloudq.domain.array_range import ArrayRange
from cloudq.domain.errors import (
    CloudqError,
    InvalidInput,
    JobIdTaken,
    MaybeSubmitted,
    StoreProblem,
    StoreUnavailable,
    UnknownSystem,
)
from cloudq.domain.job import Job, StateChange
from cloudq.domain.job_state import JobState
from cloudq.domain.jobscript import Jobscript
from cloudq.domain.lease import is_presumed_dead
from cloudq.domain.names import ClaimTag, checked_system
from cloudq.domain.submit_options import split_options
from cloudq.ports.clock import Clock, IdSource
from cloudq.ports.job_repository import JobFiles, JobQueue, JobRepository
from cloudq.ports.system_registry import SystemRegistry, SystemSign

MAX_ID_ATTEMPTS = 8


@frozen
class SubmitRequest:
    """What a user asks for; *submit_to* names one system, or several that may race for the job."""

    script: Jobscript
    submit_to: tuple[str, ...]
    submit_opt: str = ""
    hold_jid: tuple[str, ...] = ()
    hold_ok_jid: tuple[str, ...] = ()
    array_tid: ArrayRange | None = None
    input_archive: Path | None = None
    force: bool = False
    """Submit even to a system that no agent ever reported."""


@frozen
class Submitted:
    """The job as it was submitted, and what its owner should know."""

    job: Job
    warnings: tuple[str, ...] = ()


@frozen
class SubmitJob:
    """Puts a job into the bucket (protocol 3.1)."""

    jobs: JobRepository
    queue: JobQueue
    files: JobFiles
    registry: SystemRegistry
    clock: Clock
    ids: IdSource
    client: str

    def __call__(self, request: SubmitRequest) -> Submitted:
        """Submit; raise `InvalidInput` with every problem before anything is written.

        Raises `MaybeSubmitted` if the store did not confirm the last steps.
        """
        warnings = self._check(request)
        try:
            job = self._put(request)
        except StoreUnavailable as error:  # without a marker nobody ever sees what was put
            raise StoreUnavailable(f"The job was not submitted: {error}") from error
        return Submitted(job, (*warnings, *self._invite(job)))

    def problems_in_the_store(
        self,
        hold_jid: Sequence[str],
        hold_ok_jid: Sequence[str],
        systems: Sequence[str],
        *,
        force: bool = False,
    ) -> tuple[str, ...]:
        """What the store tells to be wrong with these, for a report of all problems; it may not answer."""
        problems: list[str] = []
        try:
            problems.extend(self._held_for_problems(hold_jid, hold_ok_jid))
            known = self.registry.systems() if systems and not force else {}
        except CloudqError:
            return tuple(problems)
        unknown = [_never_reported(system, known) for system in systems if known and system not in known]
        return (*problems, *unknown)

    def _put(self, request: SubmitRequest) -> Job:
        job = self._reserve(self._job(request))
        self.files.put_script(job.uuid, request.script)
        if request.input_archive is not None:
            self.files.put_input(job.uuid, request.input_archive)
        return job

    def _check(self, request: SubmitRequest) -> list[str]:
        problems: list[str] = []
        for check in (self._check_words, self._check_held_for):
            try:
                check(request)
            except InvalidInput as error:
                problems.extend(error.problems)
        known = self.registry.systems() if request.submit_to else {}
        warnings = self._check_systems(request, known, problems)
        if problems:
            raise InvalidInput(problems)
        return warnings

    def _check_words(self, request: SubmitRequest) -> None:
        split_options(request.submit_opt)
        for system in request.submit_to:
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
                yield f"hold_ok_jid: job {job_id} ended {stored.job.state.value}: this one would never run"

    def _check_systems(
        self, request: SubmitRequest, known: Mapping[str, SystemSign], problems: list[str]
    ) -> list[str]:
        warnings = []
        for system in request.submit_to:
            sign = known.get(system)
            if sign is not None:
                warnings.extend(self._warn_if_away(sign))
            elif known and not request.force:
                raise UnknownSystem("\n".join([*problems, _never_reported(system, known)]))
            else:
                warnings.append(f"No agent ever reported as {system}: the job waits until one does.")
        return warnings

    def _warn_if_away(self, sign: SystemSign) -> list[str]:
        seen = self.registry.lease(sign.system, sign.lease_epoch) if sign.lease_epoch else None
        if seen is None or seen.lease.released:
            return [f"The agent of {sign.system} was stopped: the job waits until it is started."]
        if is_presumed_dead(seen.age_s, seen.lease.time_to_live_s):
            return [
                (
                    f"The agent of {sign.system} has not reported for {seen.age_s / 60:.0f} min: "
                    "the job waits until it does."
                )
            ]
        return []

    def _job(self, request: SubmitRequest) -> Job:
        now = self.clock.now()
        archive = request.input_archive
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
            invited=request.submit_to,
            client=self.client,
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
            return [f"{system} could not be told at once and will find the job by itself: {error}"]
        return []


def _never_reported(system: str, known: Mapping[str, SystemSign]) -> str:
    return (
        f"No agent ever reported as {system}; these did: {', '.join(sorted(known))}. "
        "Use --force to queue the job for it all the same."
    )
