"""Find jobs that no process will finish, and remains of deleted jobs (protocol 3.2, 3.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from attrs import frozen

from cloudq.application.doctor.examine import Check
from cloudq.application.doctor.examine_store import RIGHTS
from cloudq.application.shared.cancel_job import CancelJob
from cloudq.application.shared.end_job import EndJob, load_or_none
from cloudq.domain.errors import JobNotFound, JobStateConflict, RecordRejected
from cloudq.domain.finding import Finding, Level, Remedy
from cloudq.domain.jobs.claim import ClaimKind
from cloudq.domain.names import ClaimTag
from cloudq.ports.bucket_survey import JobSurveyor, StrayJob, Survey
from cloudq.ports.job_repository import JobQueue, JobRepository

HALF_AFTER_S = 7 * 86_400.0
"""A submission that has been incomplete for longer counts as abandoned."""
STALE_AFTER_S = 3_600.0
"""The seconds after which an active agent has cleared its queue."""

MOST_NAMED = 5


@frozen
class ExamineJobs:
    """Survey the bucket once; with *collect*, finish what is unfinished."""

    surveyor: JobSurveyor
    jobs: JobRepository
    queue: JobQueue
    end_job: EndJob
    cancel: CancelJob
    collect: bool = False

    def checks(self) -> tuple[Check, ...]:
        """Return the one check, which walks through the bucket once."""
        return (Check("jobs", self._ask, needs=RIGHTS),)

    def _ask(self) -> Iterator[Finding]:
        survey = self.surveyor.survey()
        findings = [*self._stray(survey.stray), *self._ghosts(survey), *self._stale_queue_entries(survey)]
        yield from findings or [Finding(Level.OK, "jobs", "no incomplete or orphaned jobs")]

    # Jobs in no queue and not in the history -------------------------------------------------------

    def _stray(self, stray: Sequence[StrayJob]) -> Iterator[Finding]:
        half: list[str] = []
        for stray_job in stray:
            if not stray_job.has_manifest:
                continue  # an orphan, see _ghosts
            try:
                finding = self._judge(stray_job, half)
            except RecordRejected as error:
                finding = Finding(
                    Level.PROBLEM, "jobs", str(error), "update cloudq here, or inspect that object"
                )
            if finding is not None:
                yield finding
        if half:
            yield self._finding(
                half, "left incomplete for more than 7 days and never claimed", self._end_half
            )

    def _judge(self, stray: StrayJob, half: list[str]) -> Finding | None:
        stored = load_or_none(self.jobs, stray.job_id)
        if stored is None:
            return None
        if stored.job.is_final:
            return self._finding(
                [stray.job_id],
                "final but missing from the history",
                lambda _: self.end_job.confirm_final(stored.job),
            )
        newest = self.jobs.newest_claim(stray.job_id, stored.job.certain_claim)
        if newest is None:
            if stray.age_s > HALF_AFTER_S:
                half.append(stray.job_id)
            return None
        if newest.kind is ClaimKind.CANCEL:
            return self._finding([stray.job_id], "only partly canceled", self._end_half)
        if newest.kind is ClaimKind.RUN and stray.age_s <= STALE_AFTER_S:
            return None  # its agent puts the queue entry again
        where = f"held by {newest.system}" if newest.kind is ClaimKind.RUN else "offered"
        return Finding(
            Level.WARNING,
            "jobs",
            f"job ({stray.job_id}) is {where}, but has no queue entry",
            "requeue it",
            Remedy.REQUEUE,
            stray.job_id,
        )

    def _end_half(self, job_id: str) -> None:
        """End the job with a claim first, so that a client or agent that still works on it finds it ended."""
        try:
            self.cancel(job_id)
        except (JobNotFound, JobStateConflict):
            return  # it ended in the meantime

    # Remains of deleted jobs ----------------------------------------------------------------------

    def _ghosts(self, survey: Survey) -> Iterator[Finding]:
        ghosts = sorted({*survey.ghosts, *(stray.job_id for stray in survey.stray if not stray.has_manifest)})
        if ghosts:
            yield self._finding(ghosts, "only partly deleted", self.jobs.remove_ghost)

    def _stale_queue_entries(self, survey: Survey) -> Iterator[Finding]:
        over = survey.finished | survey.unknown
        for system, listing in sorted(self.queue.queue_entries_of_all().items()):
            stale = [
                queue_entry.tag
                for queue_entry in listing.queue_entries
                if queue_entry.tag.job_id in over and queue_entry.age_s > STALE_AFTER_S
            ]
            if stale:
                yield self._stale(system, stale)

    def _stale(self, system: str, stale: list[ClaimTag]) -> Finding:
        def clear(_: str) -> None:
            self.queue.withdraw(system, [tag for tag in stale if self._is_over(tag.job_id)])

        return self._finding(
            [tag.job_id for tag in stale], f"final but still in the queue of {system}", clear
        )

    def _is_over(self, job_id: str) -> bool:
        stored = load_or_none(self.jobs, job_id)
        return stored is None or stored.job.is_final

    def _finding(self, job_ids: list[str], what: str, mend: Callable[[str], object]) -> Finding:
        """Return a warning or, with *collect*, mend each job and report that."""
        named = ", ".join(dict.fromkeys(job_ids[:MOST_NAMED])) + (" …" if len(job_ids) > MOST_NAMED else "")
        message = f"{len(job_ids)} {'job was' if len(job_ids) == 1 else 'jobs were'} {what}: {named}"
        if not self.collect:
            return Finding(Level.WARNING, "jobs", message, "collect them", Remedy.COLLECT)
        for job_id in job_ids:
            mend(job_id)
        return Finding(Level.OK, "jobs", f"{message}; repaired")
