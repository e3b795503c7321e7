"""A batch scheduler, asked as seldom as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen

from cloudq.domain.jobs.job_shell import ShellDialect
from cloudq.domain.jobs.outcome import SchedulerStatus
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange


@frozen
class Submission:
    """What is handed to the scheduler; all paths absolute."""

    tag: ClaimTag
    job_shell: Path
    work_dir: Path
    control_dir: Path
    """Where ``stdout[.task]`` and ``stderr[.task]`` go unless the user's options say otherwise."""
    options: tuple[str, ...] = ()
    """The user's own, as words."""
    array: ArrayRange | None = None
    name: str = ""
    """What the job is called unless the user's options say otherwise."""


@frozen
class AttemptFiles:
    """Where one attempt to submit leaves what the submit command printed."""

    stdout: Path
    stderr: Path
    status: Path
    """The command's exit status, written once it ended."""
    process: Path
    """What tells the process that runs the command, written by itself."""


@frozen
class LocalJob:
    """A local job that a query showed; a job that is no array has the one task None."""

    tasks: Mapping[int | None, SchedulerStatus]
    tag: ClaimTag | None = None
    """Whose it is, where the scheduler tells: local ids begin anew when a scheduler is reset."""
    unanswered: str = ""
    """Why the scheduler could not be asked about this job, in its words; nothing is known then."""

    def may_be_of(self, tag: ClaimTag) -> bool:
        """Whether nothing says that it is another's."""
        return self.tag is None or self.tag == tag


class BatchScheduler(Protocol):
    """One kind of scheduler on this machine.

    ``SchedulerUnavailable`` from any method means the question failed: it answers nothing.
    """

    @property
    def dialect(self) -> ShellDialect:
        """What a job shell must know."""
        ...

    @property
    def poll_interval_s(self) -> float:
        """Seconds between two queries unless a job's own records changed."""
        ...

    @property
    def submit_time_limit_s(self) -> float:
        """Seconds after which a submit command that still runs will do nothing any more."""
        ...

    def unfit_commands(self) -> tuple[str, ...]:
        """What the commands on this machine do not take of what is needed of them, in their own words.

        Each form that the adapter uses is tried once, cheaply and without submitting anything. Empty
        if all of them work.
        """
        ...

    def planned_array(self, submission: Submission) -> ArrayRange | None:
        """The tasks that *submission* will have: its own, or those its options or script ask for.

        Raises `SubmitRefused` if they contradict each other or are more than the scheduler takes.
        """
        ...

    def describe(self, submission: Submission) -> str:
        """The submit command as a user would type it. Raises `SubmitRefused` as `submit`."""
        ...

    def submit(self, submission: Submission, files: AttemptFiles) -> str:
        """Hand a job over; return its local job id.

        Raises `SubmitRefused` (for good, with the scheduler's words), `SubmitDeferred` (a limit
        of the moment), `SubmitUncertain` (no answer: it may have been submitted).
        """
        ...

    def submitted(self, files: AttemptFiles) -> str | None:
        """The local job id that an earlier attempt's files tell, or None. Raises as `submit`."""
        ...

    def find(self, tag: ClaimTag) -> tuple[str, ...]:
        """Local ids of all jobs submitted under *tag*, finished ones too if still known."""
        ...

    def poll(self, local_ids: Sequence[str]) -> Mapping[str, LocalJob]:
        """One query for all; an id that is missing in the answer is not known to the scheduler.

        An id that the scheduler cannot look up at the moment is in the answer, `unanswered`: it
        does not keep the others from being answered.
        """
        ...

    def cancel(self, local_ids: Sequence[str]) -> None:
        """Ask that jobs end; those ended or unknown are no error. Returns once accepted."""
        ...

    def cancel_tasks(self, local_id: str, tasks: Sequence[int]) -> None:
        """Ask that single tasks of an array job end; the same promises as `cancel`."""
        ...

    def forget(self, tag: ClaimTag, local_ids: Sequence[str]) -> None:
        """The ends of *tag*'s jobs are safely recorded: what is kept of them, in a queue too, may go.

        Those of *local_ids* that are another's by now are left alone.
        Raises `SchedulerUnavailable` where something has to go and did not: try again.
        """
        ...

    def work_dirs(self) -> Mapping[str, str]:
        """Where this account's unfinished jobs start, or were submitted from, by local job id.

        Jobs that cloudq did not submit are among them, its own need not be. One query for all.
        """
        ...

    def free_slots(self) -> int | None:
        """How many jobs could start now; None if the scheduler does not tell."""
        ...
