"""Read what a submission asks of the embedded scheduler, which has no submit command."""

from __future__ import annotations

from attrs import frozen

from cloudq.adapters.schedulers.local.job_queue import QueuedJob
from cloudq.adapters.schedulers.local.options import read_local_options
from cloudq.ports.batch_scheduler import Submission, SubmitPlan


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
