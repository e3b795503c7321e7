"""The interface to a batch scheduler, which is queried as seldom as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen

from cloudq.domain.jobs.job_shell import ShellDialect
from cloudq.domain.jobs.outcome import SchedulerStatus
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.submit_options import join_options


@frozen
class Submission:
    """A job for the scheduler; all paths are absolute."""

    tag: ClaimTag
    job_shell: Path
    work_dir: Path
    control_dir: Path
    """The directory for ``stdout[.task]`` and ``stderr[.task]``, unless the user's options name another
    place."""
    options: tuple[str, ...] = ()
    """The user's own options, as words."""
    header_lines: tuple[str, ...] = ()
    """The header lines of the job shell, from which the scheduler reads more options."""
    array: ArrayRange | None = None
    name: str = ""
    """The name of the job, unless the user's options give another one."""


@frozen(kw_only=True)
class SubmitPlan:
    """The submit command for one submission."""

    submission: Submission
    argv: tuple[str, ...]
    """The whole command."""
    typed: tuple[str, ...]
    """The words that a user would type before the name of the script, without what cloudq adds."""
    array: ArrayRange | None
    """The tasks that will run: those of the submission, or those that the options or header lines request."""
    output_dirs: tuple[str, ...] = ()
    """Directories that the output options name; they are created in the work directory before the command
    runs."""

    @property
    def command(self) -> str:
        """The whole command as one line."""
        return join_options(self.argv)


@frozen
class AttemptFiles:
    """The files in which one attempt leaves the output of the submit command."""

    stdout: Path
    stderr: Path
    status: Path
    """The file for the command's exit status, written after the command ended."""
    process: Path
    """The file that identifies the process that runs the command, written by that process."""


@frozen
class LocalJob:
    """A scheduler job that a query showed; a job that is not an array has the one task None."""

    tasks: Mapping[int | None, SchedulerStatus]
    tag: ClaimTag | None = None
    """The claim of the job, if the scheduler shows it: a scheduler that is reset reuses its ids."""
    unanswered: str = ""
    """Why the scheduler could not be queried about this job, in its own words; then nothing is known."""

    def may_be_of(self, tag: ClaimTag) -> bool:
        """Return True unless the job is known to belong to another claim."""
        return self.tag is None or self.tag == tag


class BatchScheduler(Protocol):
    """One kind of scheduler on this machine.

    ``SchedulerUnavailable`` from any method means that the query failed; it proves nothing.
    """

    @property
    def dialect(self) -> ShellDialect:
        """The properties of the scheduler that a job shell depends on."""
        ...

    @property
    def poll_interval_s(self) -> float:
        """Seconds between two queries, unless a job's own records changed."""
        ...

    @property
    def submit_time_limit_s(self) -> float:
        """Seconds after which a submit command that still runs has no effect any longer."""
        ...

    def unfit_commands(self) -> tuple[str, ...]:
        """Return what is needed of the commands on this machine and rejected by them, in their own words.

        Each form that the adapter uses is tried once, cheaply and without submitting anything. The result
        is empty if all of them work.
        """
        ...

    def plan(self, submission: Submission) -> SubmitPlan:
        """Return the submit command for *submission*; run nothing, and read no file.

        Raises `SubmitRefused` for options that cannot work, or that contradict each other.
        """
        ...

    def submit(self, plan: SubmitPlan, files: AttemptFiles) -> str:
        """Submit the job of a plan that `plan` of this scheduler returned; return its scheduler job id.

        Raises `SubmitRefused` (permanently, with the scheduler's words), `SubmitDeferred` (a temporary
        limit), or `SubmitUncertain` (no answer: the job may have been submitted).
        """
        ...

    def submitted(self, files: AttemptFiles) -> str | None:
        """Return the scheduler job id in the files of an earlier attempt, or None. Raises like `submit`."""
        ...

    def find(self, tag: ClaimTag) -> tuple[str, ...]:
        """Return the ids of all jobs submitted under *tag*, including finished ones that are still known."""
        ...

    def poll(self, scheduler_job_ids: Sequence[str]) -> Mapping[str, LocalJob]:
        """Query all jobs at once; an id that is missing in the answer is not known to the scheduler.

        An id that the scheduler cannot look up at the moment is in the answer, `unanswered`; the others are
        answered as usual.
        """
        ...

    def cancel(self, scheduler_job_ids: Sequence[str]) -> None:
        """Ask the scheduler to end jobs; ended or unknown ones are no error. Return once it accepts."""
        ...

    def cancel_tasks(self, scheduler_job_id: str, tasks: Sequence[int]) -> None:
        """Ask the scheduler to end single tasks of an array job, with the same promises as `cancel`."""
        ...

    def forget(self, tag: ClaimTag, scheduler_job_ids: Sequence[str]) -> None:
        """Discard what is kept, also in a queue, about jobs of *tag* whose final states are safely recorded.

        Jobs in *scheduler_job_ids* that now belong to another claim are left alone. Raises
        `SchedulerUnavailable` if something must be discarded and was not: try again.
        """
        ...

    def work_dirs(self) -> Mapping[str, str]:
        """Return where this account's unfinished jobs start, or were submitted from, by scheduler job id.

        The result includes jobs that cloudq did not submit; cloudq's own jobs may be missing. One query for
        all.
        """
        ...

    def free_slots(self) -> int | None:
        """Return how many jobs could start now; None if the scheduler does not report it."""
        ...
