"""Submit many jobs at once: check all of them, then write them in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import evolve, frozen

from cloudq.application.client.find_systems import Choice
from cloudq.application.client.submit_job import SubmitJob, Submitted
from cloudq.domain.errors import CloudqError, InvalidInput, StoreUnavailable
from cloudq.domain.jobs.arguments import Words
from cloudq.domain.jobs.job_request import JobRequest, JobSpec
from cloudq.domain.problems import Problems
from cloudq.ports.workers import Workers

JOBS_AT_ONCE = 64
"""The jobs that are reported together: a few for each worker."""


@frozen
class SubmitResult:
    """The outcome for one of many jobs: it was submitted, or there was an error."""

    name: str
    """The name of the job."""
    arguments: Words = ()
    """The arguments of its script."""
    submitted: Submitted | None = None
    error: CloudqError | None = None


def no_report(_: SubmitResult) -> None:
    """Report nothing."""


@frozen
class SubmitMany:
    """Submit many jobs; each system and each dependency is looked up once for all of them."""

    submit: SubmitJob
    workers: Workers

    def read(self, specs: Sequence[JobSpec]) -> tuple[JobRequest, ...]:
        """Return a request for each job, as `CheckSubmission.read` does. Raises all problems of all jobs."""
        problems = Problems()
        check = self.submit.check.once()
        requests = [problems.collect(check.read, spec) for spec in specs]
        _raise_once(problems)
        return tuple(request for request in requests if request is not None)

    def __call__(
        self, requests: Sequence[JobRequest], report: Callable[[SubmitResult], object] = no_report
    ) -> tuple[SubmitResult, ...]:
        """Submit all jobs; return the results in order, after *report* got each of them.

        Raises `InvalidInput` or `UnknownSystem` with all problems before anything is written. Once the store
        has answered for none of `JOBS_AT_ONCE` jobs, the others are not tried.
        """
        results = []
        for result in self._results(list(zip(requests, self._choices(requests), strict=True))):
            report(result)
            results.append(result)
        return tuple(results)

    def _choices(self, requests: Sequence[JobRequest]) -> list[Choice]:
        problems = Problems()
        check = self.submit.check.once()
        choices = [problems.collect(check.choose_systems, request) for request in requests]
        _raise_once(problems)
        return [choice for choice in choices if choice is not None]

    def _results(self, jobs: Sequence[tuple[JobRequest, Choice]]) -> Iterator[SubmitResult]:
        given_up: StoreUnavailable | None = None
        for start in range(0, len(jobs), JOBS_AT_ONCE):
            batch = jobs[start : start + JOBS_AT_ONCE]
            if given_up is not None:
                yield from (evolve(_result_of(request), error=given_up) for request, _ in batch)
                continue
            results = self._rung(self.workers.map(self._submitted, batch))
            self._remember([result.submitted.job.uuid for result in results if result.submitted])
            yield from results
            errors = [result.error for result in results]
            if all(isinstance(error, StoreUnavailable) for error in errors):
                given_up = StoreUnavailable("The job was not submitted: the store did not answer before.")

    def _remember(self, job_ids: Sequence[str]) -> None:
        """Remember the jobs, the last of them as the one that was submitted last."""
        if job_ids:
            self.submit.memory.note_jobs(reversed(job_ids[:-1]))
            self.submit.memory.note_submission(job_ids[-1])

    def _submitted(self, job: tuple[JobRequest, Choice]) -> SubmitResult:
        request, choice = job
        try:
            return evolve(_result_of(request), submitted=self.submit.put(request, choice, ring=False))
        except CloudqError as error:
            return evolve(_result_of(request), error=error)

    def _rung(self, results: list[SubmitResult]) -> list[SubmitResult]:
        """Ring each doorbell once for all jobs; return the results with the warnings about it."""
        invited = {
            system for result in results if result.submitted for system in result.submitted.job.invited
        }
        failed = {system: self.submit.ring(system) for system in sorted(invited)}
        return [
            result
            if result.submitted is None
            else evolve(result, submitted=_with_warnings(result.submitted, failed))
            for result in results
        ]


def _with_warnings(submitted: Submitted, failed: Mapping[str, Sequence[str]]) -> Submitted:
    """Return *submitted* with the warnings about its systems in *failed*."""
    warnings = (warning for system in submitted.job.invited for warning in failed[system])
    return evolve(submitted, warnings=(*submitted.warnings, *warnings))


def _raise_once(problems: Problems) -> None:
    """Raise all *problems*; one that several jobs share is reported once."""
    if problems:
        raise InvalidInput(tuple(dict.fromkeys(problems)))


def _result_of(request: JobRequest) -> SubmitResult:
    return SubmitResult(request.name or request.script.name, request.arguments)
