"""Query jobs: one, all unfinished ones, or all finished ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from cloudq.application.shared.end_job import load_or_none
from cloudq.domain.errors import RecordRejected
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.lease import TIME_TO_LIVE_S
from cloudq.domain.jobs.summary import ActiveJob, ActiveSummary
from cloudq.domain.names import span
from cloudq.ports.job_repository import JobQueue, JobRepository
from cloudq.ports.system_registry import SystemRegistry, SystemSign
from cloudq.ports.workers import Workers

NOT_YET_IN_HISTORY = "it has ended; its history entry is not written yet"


@frozen
class ActiveJobs:
    """All unfinished jobs, oldest first, and warnings about the systems for which they wait."""

    jobs: tuple[ActiveJob, ...]
    warnings: tuple[str, ...] = ()


@frozen
class QueryJobs:
    """Answer queries from the bucket; write nothing."""

    records: JobRepository
    queue: JobQueue
    registry: SystemRegistry
    workers: Workers

    def job(self, job_id: str) -> Job:
        """Return one job. Raises `JobNotFound`."""
        return self.records.load(job_id).job

    def history(self, last: int | None = None) -> Iterator[HistoryEntry]:
        """Yield finished jobs, newest first."""
        return self.records.history(last)

    def active(self) -> ActiveJobs:
        """Return all unfinished jobs: one LIST of systems, one of queue entries, one GET per system.

        The record of a job that is in no agent's summary is read separately. A final job is shown until it is
        in the history, so every job is visible at every moment.
        """
        signs = self.registry.systems()
        queues = self.queue.queue_entries_of_all()
        invited = {queue_entry.tag.job_id for queue in queues.values() for queue_entry in queue.queue_entries}
        waiting = {system for system, queue in queues.items() if queue.queue_entries}
        summaries = self._summaries({system: signs[system] for system in signs.keys() & waiting})
        lines = _most_advanced(summaries, invited)
        unseen = self._read(sorted(invited - lines.keys()))
        jobs = sorted([*lines.values(), *unseen], key=_by_submission)
        return ActiveJobs(tuple(jobs), tuple(_absences(signs, summaries, waiting)))

    def _summaries(self, signs: Mapping[str, SystemSign]) -> dict[str, ActiveSummary]:
        def read(sign: SystemSign) -> tuple[str, ActiveSummary | None]:
            try:
                return sign.system, self.registry.summary(sign)
            except RecordRejected:
                return sign.system, None

        return {
            system: summary
            for system, summary in self.workers.map(read, signs.values())
            if summary is not None
        }

    def _read(self, job_ids: list[str]) -> list[ActiveJob]:
        def read(job_id: str) -> ActiveJob | None:
            try:
                stored = load_or_none(self.records, job_id)
            except RecordRejected as error:
                return ActiveJob(job_id, "?", JobState.INIT, note=str(error))
            return None if stored is None else self._line(stored.job)

        return [job for job in self.workers.map(read, job_ids) if job is not None]

    def _line(self, job: Job) -> ActiveJob | None:
        if not job.is_final:
            return ActiveJob.of(job)
        return None if self.records.is_in_history(job) else ActiveJob.of(job, NOT_YET_IN_HISTORY)


def _most_advanced(summaries: Mapping[str, ActiveSummary], invited: set[str]) -> dict[str, ActiveJob]:
    """Choose one summary line per job: if several systems list the job, the holder's line counts."""
    lines: dict[str, ActiveJob] = {}
    for summary in summaries.values():
        for job in summary.jobs:
            if job.job_id in invited and (job.run_system or job.job_id not in lines):
                lines[job.job_id] = job
    return lines


def _by_submission(job: ActiveJob) -> tuple[str, str]:
    return (job.time_submit.isoformat() if job.time_submit else "", job.job_id)


def _absences(
    signs: Mapping[str, SystemSign], summaries: Mapping[str, ActiveSummary], waiting: set[str]
) -> Iterator[str]:
    for system in sorted(waiting):
        sign = signs.get(system)
        if sign is None or not sign.has_lease:
            yield f"No agent ever reported as {system}: its jobs wait until one does."
        elif system in summaries and summaries[system].stopped:
            yield f"The agent of {system} was stopped: its jobs wait until it is started."
        elif (
            sign.heartbeat_age_s > TIME_TO_LIVE_S
        ):  # its lease, which states the time to live, is not read here
            yield (
                f"The agent of {system} has not reported for {span(sign.heartbeat_age_s)}: "
                "the states shown for its jobs may be outdated."
            )
