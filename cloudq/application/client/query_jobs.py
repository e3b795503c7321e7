"""Query jobs: one, all unfinished ones, or all finished ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from types import MappingProxyType

from attrs import evolve, field, frozen

from cloudq.application.shared.end_job import load_or_none
from cloudq.domain.errors import RecordRejected
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.lease import TIME_TO_LIVE_S
from cloudq.domain.jobs.selector import EVERY_JOB, Selector
from cloudq.domain.jobs.summary import ActiveJob, ActiveSummary
from cloudq.domain.jobs.task_states import ended_in
from cloudq.domain.names import ClaimTag, span
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobQueue, JobRepository, QueueListing
from cloudq.ports.system_registry import SystemRegistry, SystemSign
from cloudq.ports.workers import Workers

UNREADABLE = "?"
"""The name shown for a job whose record cannot be read."""
NOT_YET_IN_HISTORY = "it has ended; its history entry is not written yet"


@frozen
class ActiveJobs:
    """All unfinished jobs, oldest first, and warnings about the systems for which they wait."""

    jobs: tuple[ActiveJob, ...]
    warnings: tuple[str, ...] = ()
    samples: Mapping[str, ClaimTag] = field(factory=lambda: MappingProxyType({}), repr=False)
    """For each system whose scheduler has some of the jobs, the claim of one, by which its agent is asked."""


@frozen
class JobStatus:
    """A job, with what its agent reports about it between two rewrites of its record."""

    job: Job
    note: str = ""
    """Why it waits, in the words of its agent or scheduler."""
    progress: str = ""
    """How many tasks of an array have ended, as in `TaskStates.progress`; empty once the job has ended."""
    behind_s: float | None = None
    """The age of the task states in the record if the agent knows newer ones; None if it does not."""
    warnings: tuple[str, ...] = ()


@frozen
class QueryJobs:
    """Answer queries from the bucket; write nothing."""

    records: JobRepository
    queue: JobQueue
    registry: SystemRegistry
    workers: Workers
    clock: Clock

    def job(self, job_id: str) -> Job:
        """Return one job. Raises `JobNotFound`."""
        return self.records.load(job_id).job

    def status(self, job_id: str) -> JobStatus:
        """Return one job; if it has not ended, with what the systems report that have it or may take it.

        Costs one GET; for an unfinished job, one LIST and one GET per such system more. Raises `JobNotFound`.
        """
        stored = self.records.load(job_id)
        job = stored.job
        if job.is_final:
            return JobStatus(job)
        systems = {job.run_system} if job.run_system else set(job.invited)
        known = self.registry.systems()
        summaries = self._summaries({system: known[system] for system in systems & known.keys()})
        warnings = tuple(_absences(known, summaries, systems))
        own = ActiveJob.of(job)
        line = _most_advanced(summaries, {job.uuid}).get(job.uuid, own)
        note = line.note if line.state is job.state else ""  # else the record is newer than the summary
        if ended_in(line.progress) <= ended_in(own.progress):
            return JobStatus(job, note, own.progress, warnings=warnings)
        return JobStatus(job, note, line.progress, stored.age_s, warnings)

    def history(self, last: int | None = None, selector: Selector = EVERY_JOB) -> Iterator[HistoryEntry]:
        """Yield the finished jobs that *selector* selects, newest first: one LIST per thousand entries.

        No record is read, and no page of entries is listed that are all older than ``selector.since``.
        """
        if selector.selects_all:
            return self.records.history(last)
        beginning = selector.beginning(self.clock.now())
        entries = self.records.history()
        if beginning is not None:
            entries = takewhile(lambda entry: entry.time_finish >= beginning, entries)
        chosen = filter(selector.accepts_ended, entries)
        return islice(chosen, None if last is None else max(0, last))

    def active(self, selector: Selector = EVERY_JOB) -> ActiveJobs:
        """Return the unfinished jobs: one LIST of systems, one of queue entries, one GET per system.

        The record of a job that is in no agent's summary is read separately. A final job is shown until it is
        in the history, so every job is visible at every moment. With a *selector*, a warning names each job
        that may be meant, but whose record cannot be read.
        """
        signs = self.registry.systems()
        queues = self.queue.queue_entries_of_all()
        if selector.system:
            queues = {system: queue for system, queue in queues.items() if system == selector.system}
        invited = {queue_entry.tag.job_id for queue in queues.values() for queue_entry in queue.queue_entries}
        waiting = {system for system, queue in queues.items() if queue.queue_entries}
        summaries = self._summaries({system: signs[system] for system in signs.keys() & waiting})
        lines = _most_advanced(summaries, invited)
        unseen = self._read(sorted(invited - lines.keys()))
        jobs = sorted([*lines.values(), *unseen], key=_by_submission)
        active = self._selected(jobs, selector, _absences(signs, summaries, waiting))
        return evolve(active, samples=_samples(active.jobs, queues))

    def _selected(self, jobs: Sequence[ActiveJob], selector: Selector, warnings: Iterable[str]) -> ActiveJobs:
        if selector.selects_all:
            return ActiveJobs(tuple(jobs), tuple(warnings))
        beginning = selector.beginning(self.clock.now())
        chosen = (
            job
            for job in jobs
            if selector.accepts(job)
            and (not selector.system or job.run_system in {"", selector.system})
            and (beginning is None or (job.time_submit is not None and job.time_submit >= beginning))
            and not _is_unreadable(job)
        )
        left_out = (
            f"Job ({job.job_id}) is left out, because its record cannot be read."
            for job in filter(_is_unreadable, jobs)
        )
        return ActiveJobs(tuple(chosen), (*warnings, *left_out))

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
                return ActiveJob(job_id, UNREADABLE, JobState.INIT, note=str(error))
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


def _is_unreadable(job: ActiveJob) -> bool:
    return job.name == UNREADABLE and job.time_submit is None


def _samples(jobs: Iterable[ActiveJob], queues: Mapping[str, QueueListing]) -> Mapping[str, ClaimTag]:
    """Choose one of *jobs* of each system whose scheduler has it; the queue has the number of its claim."""
    with_scheduler = {
        (job.run_system, job.job_id) for job in jobs if job.state in {JobState.READY, JobState.RUN}
    }
    return {
        system: queue_entry.tag
        for system, queue in queues.items()
        for queue_entry in queue.queue_entries
        if (system, queue_entry.tag.job_id) in with_scheduler
    }


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
