"""Handle files that are removed while their job runs, as by a site that clears its scratch (protocol 5.7)."""

from __future__ import annotations

from attrs import define, evolve

from cloudq.application.agent.held_job import HeldJob
from cloudq.application.agent.holdings import Holdings
from cloudq.application.agent.job_trouble import AgentLog, JobTrouble
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outcome import Life, SchedulerStatus, StartRecord
from cloudq.domain.jobs.task_states import TaskState
from cloudq.ports.clock import Clock
from cloudq.ports.workspace import LostFiles, TaskRecords

MISSING_FOR_S = 120.0
"""How long files must be missing to count as removed: a file system may be unmounted for a moment."""
TOUCH_EVERY_S = 86_400.0
MOST_TOUCHED_A_CYCLE = 5


@define
class WatchFiles:
    """Renew the access times of held jobs' files, and make removed control directories again."""

    system: str
    clock: Clock
    holdings: Holdings
    trouble: JobTrouble
    log: AgentLog

    def __call__(self) -> None:
        """Touch the files of some jobs, each once a day: purges delete files by age."""
        now = self.clock.elapsed()
        due = [held for held in self.holdings.held.values() if _is_to_be_touched(held, now)]
        for held in sorted(due, key=lambda held: held.files.touched_at or 0.0)[:MOST_TOUCHED_A_CYCLE]:
            with self.trouble.of_claim(held.tag):
                held.files.touched_at = now
                held.space.touch()

    def are_there(self, held: HeldJob) -> bool:
        """Return whether the files of a handed-over job can be looked at.

        If they were missing for `MISSING_FOR_S`, the control directory is made again: the job shell may
        still write its exit record there.
        """
        if held.is_elsewhere or held.space.owner() is not None:
            held.files.missing_since = None
            return True
        now = self.clock.elapsed()
        if held.files.missing_since is None:
            held.files.missing_since = now
        if now - held.files.missing_since < MISSING_FOR_S:
            held.note = f"its files under {held.space.control_dir} are missing; it is followed without them"
            return False
        held.space.rebuild(held.owner(self.system))
        self.log.warning("files of a job were removed while it ran", job=str(held.tag), where=_where(held))
        return True

    def make_up_for(
        self, held: HeldJob, task: int | None, records: TaskRecords, status: SchedulerStatus | None
    ) -> TaskRecords:
        """Return the records of a task, completed as far as possible if its files were removed.

        The lock of a running task is taken in its name, so that its exit record will count.
        """
        if held.is_elsewhere or records.start is not None or held.space.lost() is None:
            return records
        if status is None or status.life is Life.QUEUED or status.never_ran:
            return records
        holder = records.holder or held.space.take_lock(task, held.scheduler_job_ids[0])
        if holder not in held.scheduler_job_ids:
            return records
        # The start time of this run is unknown: the record may be of a later run, or by another clock.
        return evolve(records, holder=holder, start=StartRecord(holder, time=None))


def with_note_of_loss(held: HeldJob, end: TaskState) -> TaskState:
    """Return the final state *end* with a note on removed files; without outputs, it is not DONE."""
    lost = None if held.is_elsewhere else held.space.lost()
    if lost is None:
        return end
    words = f"its files under {_where(held, lost)} were removed while it ran"
    return _without_outputs(end, words) if not lost.has_work_dir else _with_words(end, words)


def with_note_of_lost_outputs(held: HeldJob, end: TaskState) -> TaskState:
    """Return the final state *end* with a note that the work directory was gone before the stage-out."""
    return _without_outputs(end, f"its work directory {held.space.work_dir} was removed")


def _without_outputs(end: TaskState, words: str) -> TaskState:
    if end.state is not JobState.DONE:
        return _with_words(end, words)
    code = "" if end.exit_code is None else f"exit code {end.exit_code}, but "
    return TaskState(JobState.ERROR, end.exit_code, f"{code}{words}, and its outputs with them")


def _with_words(end: TaskState, words: str) -> TaskState:
    return evolve(end, reason="; ".join(part for part in (end.reason, words) if part))


def _where(held: HeldJob, lost: LostFiles | None = None) -> str:
    lost = lost or held.space.lost()
    kept = lost is not None and lost.has_work_dir
    return str(held.space.control_dir if kept else held.space.work_dir)


def _is_to_be_touched(held: HeldJob, now: float) -> bool:
    if held.is_elsewhere or held.end is not None:
        return False
    touched_at = held.files.touched_at
    return touched_at is None or now - touched_at >= TOUCH_EVERY_S
