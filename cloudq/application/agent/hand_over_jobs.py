"""Start, watch and collect the background work that hands held jobs over to the scheduler."""

from __future__ import annotations

from contextlib import suppress

from attrs import define, evolve, field

from cloudq.application.agent.end_unstarted import EndUnstarted, was_started_before
from cloudq.application.agent.hand_over_job import HandOverJob, has_lost_its_files
from cloudq.application.agent.held_job import (
    Claimed,
    HandOverResult,
    HandOverWork,
    HeldJob,
    UnderWay,
)
from cloudq.application.agent.holdings import Holdings
from cloudq.application.agent.job_trouble import JobTrouble
from cloudq.application.agent.permit import Permits
from cloudq.application.agent.prepare_job import PrepareJob, has_its_files, lane_of
from cloudq.application.agent.stop_claim import StopClaim
from cloudq.domain.errors import (
    ArchiveRejected,
    CloudqError,
    InputIsBig,
    InvalidInput,
    LeaseLost,
    ObjectNotFound,
    RecordRejected,
    SubmitRefused,
    WorkAbandoned,
    WorkDirOccupied,
)
from cloudq.domain.jobs.job_state import JobState
from cloudq.ports.clock import Clock
from cloudq.ports.workers import Lane, Workers
from cloudq.ports.workspace import SpaceOwner, Workspace

WAIT_FOR_NEW_S = 1.5
"""How long a cycle waits for work that it has just begun; most is done sooner and continues at once."""
REFUSALS = (RecordRejected, ArchiveRejected, ObjectNotFound, SubmitRefused, InvalidInput)
"""The errors that end a job before its start."""
OCCUPIED_FOR_S = 600.0
"""How long a job waits for its owner to clear the place of its work directory."""


@define
class HandOverJobs:
    """Hand each job over in two background steps: prepare its files, then submit it.

    A call waits at most twice `WAIT_FOR_NEW_S`, however long a download or a submit command takes.
    """

    prepare: PrepareJob
    hand_over: HandOverJob
    end_unstarted: EndUnstarted
    workspace: Workspace
    stop_claim: StopClaim
    permits: Permits
    clock: Clock
    workers: Workers
    holdings: Holdings
    trouble: JobTrouble
    system: str
    _under_way: list[UnderWay] = field(factory=list, init=False)

    def __call__(self, *, may_try_again: bool = True) -> None:
        """Collect finished work, begin what is due, and continue with work that finishes quickly.

        Without *may_try_again*, work that failed before is not tried again.
        """
        self._collect()
        for _ in range(2):  # a job prepared in this cycle is submitted in it, too
            self._wait(self._begin_due(may_try_again))
            self._collect()

    @property
    def is_busy(self) -> bool:
        """Return whether any work is under way."""
        return bool(self._under_way)

    # Beginning -------------------------------------------------------------------------------

    def _begin_due(self, may_try_again: bool) -> list[UnderWay]:
        now = self.clock.elapsed()
        due = [held for held in self.holdings.unfinished() if self._is_due(held, now)]
        due = [held for held in due if may_try_again or not held.retries]
        begun = []
        for held in sorted(due, key=lambda held: held.job.submission_order):
            with self.trouble.of(held):
                begun.append(self._begin(held))
        return begun

    def _is_due(self, held: HeldJob, now: float) -> bool:
        is_wanted = isinstance(held.phase, Claimed) and held.cancel is None
        return is_wanted and held.hand_over is None and held.retry_at <= now

    def _begin(self, held: HeldJob) -> UnderWay:
        claimed, owner, lane = held.require(Claimed), held.owner(self.system), Lane.SUBMIT
        if self._needs_files(held, owner):
            lane = lane_of(held.job, has_big_input=claimed.has_big_input)
        self.permits.lease.confirm()
        permit = self.permits.issue()
        work = HandOverWork(held.job, held.space, owner, held.is_elsewhere, claimed.header_lines, permit)
        started = self.workers.start(lambda: self._do(work, lane), lane)
        held.hand_over = UnderWay(held, held.job, lane, permit, started)
        self._under_way.append(held.hand_over)
        return held.hand_over

    def _needs_files(self, held: HeldJob, owner: SpaceOwner) -> bool:
        if held.is_elsewhere or has_lost_its_files(held.job, held.space) or held.space.attempts():
            return False
        if has_its_files(held.space, owner):
            return False
        return not was_started_before(self.workspace, held.tag, held.job)

    def _do(self, work: HandOverWork, lane: Lane) -> HandOverResult:
        """Take one step of the hand-over, in the background."""
        return self.hand_over(work) if lane is Lane.SUBMIT else self.prepare(work, lane)

    def _wait(self, begun: list[UnderWay]) -> None:
        deadline = self.clock.elapsed() + WAIT_FOR_NEW_S
        for hand_over in begun:
            hand_over.started.wait(max(0.0, deadline - self.clock.elapsed()))

    # Collecting ------------------------------------------------------------------------------

    def _collect(self) -> None:
        for done in [hand_over for hand_over in self._under_way if hand_over.started.is_done()]:
            self._under_way.remove(done)
            if done.held.hand_over is done and self.holdings.held.get(done.held.tag) is done.held:
                done.held.hand_over = None
                with self.trouble.of(done.held):
                    self._take_result(done)
            self._cancel_if_unwanted(done)

    def _take_result(self, done: UnderWay) -> None:
        held = done.held
        try:
            self._take_over(done, done.started.result())
        except InputIsBig:
            if isinstance(held.phase, Claimed):
                held.phase.has_big_input = True
        except (WorkAbandoned, LeaseLost):
            return  # given up on purpose; if the lease was renewed since, the next cycle begins again
        except WorkDirOccupied as error:
            self._wait_for_its_place(held, error)
        except REFUSALS as error:
            if done.lane is Lane.SUBMIT:
                raise
            self._end(held, str(error))

    def _take_over(self, done: UnderWay, result: HandOverResult) -> None:
        """Apply the result of a step; if the job was canceled or has ended since, only its submission.

        The record stays unless the step changed it: it may have been written since then.
        """
        held = done.held
        if held.cancel is not None or held.end is not None:
            held.learn(result.scheduler_job_ids)
            return
        job = held.job if result.job is done.job else result.job
        held.apply(evolve(result, job=job), self.clock.elapsed())

    def _end(self, held: HeldJob, reason: str) -> None:
        """End a job that cannot start, unless it is canceled or has ended already."""
        if held.cancel is None and held.end is None:
            owner = held.owner(self.system)
            result = self.end_unstarted(held.job, held.space, owner, JobState.ERROR, reason)
            held.apply(result, self.clock.elapsed())

    def _wait_for_its_place(self, held: HeldJob, error: WorkDirOccupied) -> None:
        """Wait until the place of the work directory is free; end the job after `OCCUPIED_FOR_S`.

        Something foreign is there, or the control directory, which names the owner, was removed.
        """
        if not isinstance(held.phase, Claimed):
            return
        now = self.clock.elapsed()
        if held.phase.occupied_since is None:
            held.phase.occupied_since = now
        if now - held.phase.occupied_since < OCCUPIED_FOR_S:
            raise error
        self._end(held, f"{error}; the job was not started")

    def _cancel_if_unwanted(self, done: UnderWay) -> None:
        """Cancel what a submit command made after its job was given up: it can start nothing."""
        held = done.held
        if held.end is None and held.tag not in self.holdings.superseded:
            return  # its holder, perhaps of a later epoch, follows it
        with suppress(CloudqError), self.trouble.of_claim(held.tag):
            if scheduler_job_ids := done.started.result().scheduler_job_ids:
                self.stop_claim.cancel_all(held.tag, scheduler_job_ids)
