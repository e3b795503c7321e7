"""Name the jobs that a script itself submitted, as some scripts do to get around time limits.

cloudq does not follow them. Their owner is informed, and their work directory stays while they run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from attrs import evolve

from cloudq.application.agent.held_job import HeldJob
from cloudq.domain.errors import SchedulerUnavailable
from cloudq.ports.batch_scheduler import BatchScheduler

_MOST_NAMED = 10


def name_follow_ups(scheduler: BatchScheduler, ended: Sequence[HeldJob]) -> None:
    """Add a remark to each job of *ended* whose work directory another unfinished job uses.

    One query covers all jobs; if it fails, no remark is added.
    """
    if not ended:
        return
    try:
        directories = scheduler.work_dirs()
    except SchedulerUnavailable:
        return
    for held in ended:
        follow_ups = _follow_ups(held, directories)
        if follow_ups:
            held.job = evolve(held.job, remarks=(*held.job.remarks, _remark(follow_ups)))


def _follow_ups(held: HeldJob, directories: Mapping[str, str]) -> list[str]:
    place = held.space.work_dir
    return [
        scheduler_job_id
        for scheduler_job_id, directory in directories.items()
        if scheduler_job_id not in held.scheduler_job_ids and PurePath(directory).is_relative_to(place)
    ]


def _remark(scheduler_job_ids: Sequence[str]) -> str:
    several = len(scheduler_job_ids) > 1
    shown = ", ".join(scheduler_job_ids[:_MOST_NAMED]) + (
        " and others" if len(scheduler_job_ids) > _MOST_NAMED else ""
    )
    return (
        f"your script submitted {'jobs' if several else 'job'} {shown}, which cloudq does not follow: "
        f"{'their' if several else 'its'} output stays in the work directory and is not uploaded"
    )
