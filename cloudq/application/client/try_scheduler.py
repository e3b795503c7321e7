"""Test, with trial jobs on the site's scheduler, whether cloudq draws the right conclusions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from attrs import define, evolve, field, frozen

from cloudq.application.client.query_jobs import QueryJobs
from cloudq.application.client.read_log import ReadLog
from cloudq.application.client.submit_job import SubmitJob
from cloudq.application.shared.cancel_job import CancelJob
from cloudq.domain.errors import CloudqError
from cloudq.domain.jobs.acceptance import CancelAt, SchedulerWords, Trial, Verdict, in_words, judge
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_request import JobRequest
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.domain.scripts.submit_options import checked_options
from cloudq.domain.scripts.target import Pinned
from cloudq.ports.clock import Clock

LOOK_EVERY_S = 0.5
CLEAN_UP_WITHIN_S = 120.0


@frozen
class TrialResult:
    """The result of one trial."""

    name: str
    expected: str
    verdict: Verdict
    concluded: str = ""
    """The final state, in words, that cloudq recorded."""
    remark: str = ""
    """Why the trial failed or was skipped; for a file exchange, how long the files took to appear."""
    scheduler_job_id: str = ""
    seconds: float = 0.0


@define(eq=False)
class _Running:
    trial: Trial
    job_id: str
    began_at: float
    waits_since: float | None = None
    is_canceled: bool = False
    remark: str = ""
    has_exchanged: bool = False


@define
class TryScheduler:
    """Run trials through a client and an agent that use the real scheduler."""

    submit: SubmitJob
    cancel: CancelJob
    query: QueryJobs
    read_log: ReadLog
    clock: Clock
    system: str
    words: SchedulerWords
    options: str
    """The options that the site requires for every job, such as a project or a queue."""
    seen_after_s: float
    """Seconds for which a held job must be seen waiting before it is canceled."""
    exchange_files: Callable[[str], float]
    """Exchanges files with a job in its work directory; returns how many seconds the slowest one took."""
    report: Callable[[str], object]
    _running: list[_Running] = field(factory=list, init=False)

    def __call__(self, trials: Sequence[Trial], within_s: float) -> Iterable[TrialResult]:
        """Submit all *trials* at once; yield each result when its trial ends, or after *within_s*."""
        ends_at = self.clock.elapsed() + within_s
        for trial in trials:
            if self.words.lacks(trial.need):
                yield TrialResult(
                    trial.name,
                    trial.expected,
                    Verdict.SKIPPED,
                    remark="this scheduler has no option for it",
                )
            else:
                self._start(trial)
        while self._running and self.clock.elapsed() < ends_at:
            self.clock.sleep(LOOK_EVERY_S)
            yield from self._look()
        for left in self._running:
            yield self._not_ended(left)

    def clean_up(self) -> tuple[str, ...]:
        """Cancel unfinished trials and wait for them; return the ids of jobs that may still exist."""
        ends_at = self.clock.elapsed() + CLEAN_UP_WITHIN_S
        left = [running.job_id for running in self._running]
        while left and self.clock.elapsed() < ends_at:
            for job_id in left:
                with suppress(CloudqError):
                    self.cancel(job_id)
            self.clock.sleep(LOOK_EVERY_S)
            left = [job_id for job_id in left if not self.query.job(job_id).is_final]
        return tuple(left)

    def _start(self, trial: Trial) -> None:
        name = trial.name.replace(" ", "_")
        options = " ".join(filter(None, (self.options, self.words.options(trial.need))))
        request = JobRequest(
            script=Jobscript(f"{name}.sh", trial.script(self.words)),
            target=Pinned((self.system,)),
            submit_opt=checked_options(options),
            array_tid=ArrayRange.parse(trial.array) if trial.array else None,
            force=True,
        )
        submitted = self.submit(request)
        self._running.append(_Running(trial, submitted.job.uuid, self.clock.elapsed()))

    def _look(self) -> Iterable[TrialResult]:
        for running in list(self._running):
            job = self.query.job(running.job_id)
            if job.is_final:
                self._running.remove(running)
                yield self._ended(running, job)
            else:
                self._act(running, job)
        self.report(", ".join(f"{run.trial.name}" for run in self._running))

    def _act(self, running: _Running, job: Job) -> None:
        """Perform the trial's next action if it is due: a cancel, or the file exchange."""
        trial = running.trial
        if job.state is JobState.READY and running.waits_since is None:
            running.waits_since = self.clock.elapsed()
        if not running.is_canceled and self._is_time_to_cancel(running, job):
            running.is_canceled = True
            self.cancel(running.job_id)
        if trial.exchanges_files and job.state is JobState.RUN and not running.has_exchanged:
            running.has_exchanged = True
            running.remark = f"seen after {self.exchange_files(job.workdir):.1f} s at most"

    def _is_time_to_cancel(self, running: _Running, job: Job) -> bool:
        if running.trial.cancel is CancelAt.RUNNING:
            return job.state is JobState.RUN
        if running.trial.cancel is CancelAt.NEVER or running.waits_since is None:
            return False
        return self.clock.elapsed() - running.waits_since >= self.seen_after_s

    def _ended(self, running: _Running, job: Job) -> TrialResult:
        verdict, problem = judge(running.trial, job, self._stdout(job) if running.trial.log else "")
        return evolve(
            self._result(running, job),
            verdict=verdict,
            remark=problem or running.remark,
        )

    def _not_ended(self, running: _Running) -> TrialResult:
        job = self.query.job(running.job_id)
        has_started = job.time_start is not None
        verdict = Verdict.FAILED if has_started or running.trial.never_starts else Verdict.NOT_RUN
        remark = "the job did not end in time" if has_started else "the job was still queued at the end"
        return evolve(self._result(running, job), verdict=verdict, remark=remark)

    def _result(self, running: _Running, job: Job) -> TrialResult:
        return TrialResult(
            running.trial.name,
            running.trial.expected,
            Verdict.FAILED,
            in_words(job.state, job.exit_code),
            scheduler_job_id=job.jobid,
            seconds=self.clock.elapsed() - running.began_at,
        )

    def _stdout(self, job: Job) -> str:
        return b"".join(self.read_log.of_job(job, "stdout", None)).decode(errors="replace")
