"""Read what a submission asks of the embedded scheduler, which has no submit command."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from cloudq.adapters.schedulers.local.options import read_local_options
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.ports.batch_scheduler import Submission, SubmitPlan


@frozen
class QueuedJob:
    """A job as it was submitted."""

    tag: ClaimTag
    job_shell: Path
    work_dir: Path
    control_dir: Path
    array: ArrayRange | None
    slots: int
    limit_s: int | None

    @property
    def tasks(self) -> tuple[int | None, ...]:
        """The tasks of the job; a plain job has the single task None."""
        return (None,) if self.array is None else tuple(self.array)

    @property
    def max_running(self) -> int:
        """The number of tasks that may run at once."""
        limit = self.array.max_running if self.array else None
        return limit or len(self.tasks)


@frozen(kw_only=True)
class LocalPlan(SubmitPlan):
    """The plan whose *argv* only describes the submission: the job itself goes into the queue."""

    job: QueuedJob


def plan_local(submission: Submission) -> LocalPlan:
    """Return the job for the queue, and the command that describes it. Raises `SubmitRefused`."""
    options = read_local_options(submission.options, submission.header_lines)
    array = submission.array
    job = QueuedJob(
        tag=submission.tag,
        job_shell=submission.job_shell,
        work_dir=submission.work_dir,
        control_dir=submission.control_dir,
        array=array,
        slots=options.slots,
        limit_s=options.time.seconds if options.time else None,
    )
    array_words = () if array is None else (f"--array={array}",)
    return LocalPlan(
        submission=submission,
        argv=("local", *array_words, *options.words(), str(submission.job_shell)),
        typed=("local", *array_words, *submission.options),
        array=array,
        job=job,
    )
