"""Upload the results of ended jobs to the bucket, in an order that can be repeated (protocol 5.4)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from attrs import define, evolve, field

from cloudq.application.agent.check_dependencies import CheckDependencies
from cloudq.application.agent.held_job import Ending, HeldJob, StagedOut, Uploaded
from cloudq.application.agent.holdings import Holdings
from cloudq.application.agent.job_trouble import AgentLog, JobTrouble
from cloudq.application.agent.keep_hold import KeepHold
from cloudq.application.agent.permit import Permits
from cloudq.application.agent.ship_logs import STREAMS, ShipLogs
from cloudq.application.agent.watch_files import WatchFiles, with_note_of_loss, with_note_of_lost_outputs
from cloudq.application.shared.end_job import load_or_none, with_history_key
from cloudq.domain.errors import (
    CloudqError,
    LeaseLost,
    RecordChanged,
    StoreProblem,
    WorkDirGone,
    WorkspaceProblem,
)
from cloudq.domain.jobs.job import Job, StoredJob
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.names import ClaimTag
from cloudq.ports.batch_scheduler import BatchScheduler
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobFiles, JobRepository
from cloudq.ports.workers import Lane, Started, Workers

WAIT_FOR_STAGE_OUT_S = 2.0
PROGRESS_EVERY_S = 60.0
TRIES_OF_CANCELED_JOBS = 5


class StageOutGivenUp(CloudqError):
    """The stage-out was given up: the job was canceled, or the agent ends."""


@define
class FinishJobs:
    """Finish ended jobs: stage out logs and outputs, then write the final record and the history entry.

    The queue entries are deleted later, once the summary without the jobs is published.
    """

    jobs: JobRepository
    keep_hold: KeepHold
    files: JobFiles
    scheduler: BatchScheduler
    dependencies: CheckDependencies
    clock: Clock
    workers: Workers
    holdings: Holdings
    trouble: JobTrouble
    ship_logs: ShipLogs
    watch_files: WatchFiles
    permits: Permits
    log: AgentLog
    system: str
    _under_way: dict[ClaimTag, Started[Uploaded]] = field(factory=dict, init=False)

    def __call__(self, *, may_try_again: bool = True) -> None:
        """Start stage-outs, and finish the jobs whose stage-out is done.

        Without *may_try_again*, a stage-out that failed before is not tried again.
        """
        now = self.clock.elapsed()
        self._forget_abandoned()
        ending = [held for held in self.holdings.held.values() if isinstance(held.phase, Ending)]
        due = [held for held in ending if held.retry_at <= now and (may_try_again or not held.retries)]
        due = [held for held in due if not held.is_staging_out and self._has_no_piece_under_way(held)]
        self._wait([self._start(held) for held in due if self._sees_files(held)])
        for held in ending:
            self._take_result(held)
            if isinstance(held.phase, Ending) and self._is_to_be_given_up(held, held.phase):
                self._give_up(held, held.phase)
        staged_out = [held for held in self.holdings.held.values() if isinstance(held.phase, StagedOut)]
        self.workers.map(self._finish, [held for held in staged_out if held.retry_at <= now])

    def _has_no_piece_under_way(self, held: HeldJob) -> bool:
        """Return whether no log piece is under way: one put after the whole log would never be deleted."""
        held.give_up_log_turn()
        if self.ship_logs.has_ended(held):
            return True
        self._show_completing(held)
        return False

    def _sees_files(self, held: HeldJob) -> bool:
        """Return whether the job's files can be uploaded; a briefly unmounted disk has lost none."""
        with self.trouble.of(held):
            had_files = held.is_elsewhere or held.space.owner() is not None
            if self.watch_files.are_there(held):
                if not had_files:
                    ending = held.require(Ending)
                    ending.end = with_note_of_loss(held, ending.end)
                return True
            self._show_completing(held)
        return False

    def _show_completing(self, held: HeldJob) -> None:
        if held.job.state in {JobState.READY, JobState.RUN, JobState.DELETING}:
            held.job = held.job.entered(JobState.COMPLETING, self.clock.now(), "stage-out")

    def _start(self, held: HeldJob) -> Started[Uploaded]:
        """Start the stage-out, or rejoin the one that this process began before it lost its lease."""
        ending = held.require(Ending)
        held.job = evolve(held.job, time_stageout_start=self.clock.now())
        stage_out = self._under_way.get(held.tag)
        if stage_out is None:
            stage_out = self.workers.start(lambda: self._stage_out(held, ending), Lane.STAGE_OUT)
            self._under_way[held.tag] = stage_out
        ending.stage_out = stage_out
        return stage_out

    def _forget_abandoned(self) -> None:
        """Forget ended stage-outs of jobs that are no longer held: their results are not needed."""
        for tag, started in list(self._under_way.items()):
            if tag not in self.holdings.held and started.is_done():
                del self._under_way[tag]

    @property
    def is_busy(self) -> bool:
        """Return whether a stage-out is under way."""
        return any(held.is_staging_out for held in self.holdings.held.values())

    def _wait(self, begun: list[Started[Uploaded]]) -> None:
        """Wait briefly for the stage-outs just begun; later cycles collect slow ones without waiting."""
        deadline = self.clock.elapsed() + WAIT_FOR_STAGE_OUT_S
        for stage_out in begun:
            stage_out.wait(max(0.0, deadline - self.clock.elapsed()))

    def _take_result(self, held: HeldJob) -> None:
        """Take over the result of a stage-out; while it runs, the job shows as COMPLETING."""
        ending = held.require(Ending)
        if ending.stage_out is None:
            return
        if not ending.stage_out.is_done():
            self._show_completing(held)
            return
        stage_out, ending.stage_out = ending.stage_out, None
        self._under_way.pop(held.tag, None)
        with self.trouble.of(held):
            uploaded = self._result(held, ending, stage_out)
            end = with_note_of_lost_outputs(held, ending.end) if uploaded.has_lost_outputs else ending.end
            held.enter(StagedOut(end, uploaded))
            held.recovered()
            held.job = evolve(held.job, time_stageout_finish=self.clock.now())

    def _result(self, held: HeldJob, ending: Ending, stage_out: Started[Uploaded]) -> Uploaded:
        try:
            return stage_out.result()
        except CloudqError as error:
            self._show_completing(held)
            ending.failed_stage_outs += not isinstance(error, (StoreProblem, LeaseLost))
            raise

    # Ending without the outputs --------------------------------------------------------------

    def _is_to_be_given_up(self, held: HeldJob, ending: Ending) -> bool:
        """Return whether a cancel ends the job without its outputs.

        A cancel during the stage-out does so at once. A job that was canceled before it ended has
        results that its owner may want, so its stage-out is tried a few times first.
        """
        if held.tag not in self.holdings.requests.cancels:
            return False
        return not _was_canceled_before(held) or ending.failed_stage_outs >= TRIES_OF_CANCELED_JOBS

    def _give_up(self, held: HeldJob, ending: Ending) -> None:
        """End the job without the outputs that are not in the bucket yet; its files stay in place."""
        code = "" if ending.end.exit_code is None else f", exit code {ending.end.exit_code}"
        reason = (
            f"canceled before its outputs were in the store: they stay in {held.job.workdir} on "
            f"{self.system} for as long as [agent] keep_days says; its script had ended: "
            f"{ending.end.state.value}{code}"
        )
        held.enter(StagedOut(evolve(ending.end, state=JobState.DELETED, reason=reason)))
        held.recovered()

    # Logs and outputs ------------------------------------------------------------------------

    def _stage_out(self, held: HeldJob, ending: Ending) -> Uploaded:
        if held.is_elsewhere:
            return Uploaded(is_out_of_sight=True)
        if held.space.owner() is None:
            raise WorkspaceProblem(f"the files under {held.space.control_dir} are missing")
        for task in held.job.task_ids:
            for stream in STREAMS:
                self._put_log(held, ending, stream, task)
        if held.logs.may_have_pieces:
            self.files.drop_log_pieces(held.tag)
        if held.stored.job.time_stageout_start is not None:  # an earlier try may have been killed
            self.files.drop_unfinished(held.tag)
        try:
            put = partial(self._put_output, held, ending)
            return Uploaded(held.space.pack_output(put, held.job.outputs))
        except WorkDirGone:  # the logs are in the bucket, and there is nothing else to wait for
            return Uploaded(has_lost_outputs=True)

    def _put_log(self, held: HeldJob, ending: Ending, stream: str, task: int | None) -> None:
        if size := held.space.log_size(stream, task):
            pieces = self._until_given_up(held, ending, held.space.log_pieces(stream, task))
            self.files.put_log(held.tag, stream, task, pieces, expected_bytes=size)

    def _put_output(
        self, held: HeldJob, ending: Ending, number: int, pieces: Iterator[bytes], expected_bytes: int
    ) -> int:
        wanted = self._until_given_up(held, ending, pieces)
        return self.files.put_output(held.tag, number, wanted, expected_bytes=expected_bytes)

    def _until_given_up(self, held: HeldJob, ending: Ending, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield *pieces*; raise `StageOutGivenUp` once the job has left *ending* or the agent ends.

        No upload delays the end of an agent.
        """
        for piece in pieces:
            if held.phase is not ending:
                raise StageOutGivenUp(f"job {held.tag} was canceled while its outputs were uploaded")
            if self.permits.has_stopped:
                raise StageOutGivenUp(f"the agent ended while the outputs of job {held.tag} were uploaded")
            yield piece

    # Record and history ----------------------------------------------------------------------

    def _finish(self, held: HeldJob) -> None:
        with self.trouble.of(held):
            if self._is_recorded(held):
                self._put_away(held)

    def _is_recorded(self, held: HeldJob) -> bool:
        """Write the final record once, and the history entry; return whether the job is ours and final."""
        if not held.stored.job.is_final:
            try:
                held.stored = self.jobs.replace(held.stored, self._final(held))
            except RecordChanged:
                return self._look_again(held)
        self.jobs.put_history(held.stored.job.history_key)
        return True

    def _look_again(self, held: HeldJob) -> bool:
        """Settle a conflict: another claim's holder, or this agent before a crash, rewrote the record."""
        stored = load_or_none(self.jobs, held.tag.job_id)
        is_over = stored is not None and stored.job.is_final and stored.job.claim in {0, held.tag.n}
        if not is_over and self.keep_hold.is_replaced(held, stored):
            self.holdings.let_go(held.tag)
            return False
        has_gone_back = stored is None or stored.job.revision <= held.stored.job.revision
        held.stored = stored or self._put_again(held)
        if is_over:
            self.jobs.put_history(held.stored.job.history_key)
            return True
        held.retry_at = 0.0
        if has_gone_back and held.job.time_stageout_finish is not None:
            self._stage_out_again(held)
            return False
        return self._is_recorded(held)

    def _stage_out_again(self, held: HeldJob) -> None:
        """Stage out again: the bucket went back to an older state, so earlier uploads may be gone, too."""
        held.enter(Ending(held.require(StagedOut).end))
        held.job = evolve(held.job, time_stageout_finish=None)

    def _put_again(self, held: HeldJob) -> StoredJob:
        stored = self.keep_hold.put_record(held.tag, held.job)
        held.job = stored.job
        return stored

    def _final(self, held: HeldJob) -> Job:
        staged_out = held.require(StagedOut)
        packed = staged_out.uploaded.packed
        job = held.job.ended(staged_out.end, self.clock.now())
        if staged_out.uploaded.is_out_of_sight:
            notes = [
                note for note in (job.error_msg, "its logs and outputs are out of this agent's sight") if note
            ]
            job = evolve(job, error_msg="; ".join(notes), size_output=0)
        else:
            job = evolve(
                job,
                size_output=packed.size,
                output_archives=packed.archives,
                output_files=packed.contents.files,
                output_bytes=packed.contents.total_bytes,
                left_out=packed.left_out,
                left_out_count=packed.left_out_count,
            )
        if packed.left_out:
            job = job.with_remark(f"left out of the output: {', '.join(packed.left_out)}")
        return with_history_key(self.jobs, job)

    def _put_away(self, held: HeldJob) -> None:
        job, tag = held.stored.job, held.tag
        if held.space.owner() is not None:
            held.space.note_staged_out()
        self.scheduler.forget(tag, held.scheduler_job_ids)
        self.dependencies.note_over(job)
        self.holdings.held.pop(tag, None)
        self.holdings.withdraw.add(tag)
        if tag in self.holdings.requests.cancels:
            self.holdings.requests.done_cancels.add(tag)
        self.trouble.forget(tag)
        self.log.info("job ended", job=job.uuid, state=job.state.value, exit_code=job.exit_code)


@define
class WriteRecords:
    """Write the changed records of live jobs: states at once, mere progress once a minute or if asked."""

    jobs: JobRepository
    keep_hold: KeepHold
    clock: Clock
    workers: Workers
    holdings: Holdings
    trouble: JobTrouble

    def __call__(self) -> None:
        """Write each changed record once, however many states the job passed in this cycle."""
        self.workers.map(self._write, [held for held in self.holdings.held.values() if self._is_due(held)])

    def _is_due(self, held: HeldJob) -> bool:
        before, after = held.stored.job, held.job
        if before is after or before == after:
            return False
        if _is_about_to_be_final(held):
            return False  # its final record is written soon
        if held.tag in self.holdings.requests.done_refreshes or evolve(before, tasks=after.tasks) != after:
            return True
        return self.clock.elapsed() - held.written_at >= PROGRESS_EVERY_S

    def _write(self, held: HeldJob) -> None:
        with self.trouble.of(held):
            try:
                held.stored = self.jobs.replace(held.stored, held.job)
            except RecordChanged:
                self._look_again(held)
                return
            held.job = held.stored.job
            held.is_newly_claimed = False
            held.written_at = self.clock.elapsed()
            self._keep_copy(held)

    def _keep_copy(self, held: HeldJob) -> None:
        """Keep a copy of a handed-over job's record, in case the bucket loses it while the job runs."""
        if not held.is_copied and held.job.time_ready is not None and held.space.owner() is not None:
            held.space.keep_job(held.job)
            held.is_copied = True

    def _look_again(self, held: HeldJob) -> None:
        """Settle a conflict: the record was rewritten, so this claim may no longer be the newest."""
        stored = load_or_none(self.jobs, held.tag.job_id)
        if (stored is not None and stored.job.is_final) or self.keep_hold.is_replaced(held, stored):
            self.holdings.let_go(held.tag)
            return
        if stored is None:
            held.stored = self.keep_hold.put_record(held.tag, held.job)
            held.job = held.stored.job
        else:
            held.stored = stored


def _is_about_to_be_final(held: HeldJob) -> bool:
    """Return whether the job has ended and its final record can be written next."""
    if isinstance(held.phase, StagedOut):
        return held.logs.turn is None
    is_waiting = held.is_staging_out or held.logs.turn is not None or held.retries > 0
    return isinstance(held.phase, Ending) and not is_waiting


def _was_canceled_before(held: HeldJob) -> bool:
    """Return whether the job was canceled before it ended, by this agent or an earlier one."""
    return held.cancel is not None or any(change.state is JobState.DELETING for change in held.job.changes)
