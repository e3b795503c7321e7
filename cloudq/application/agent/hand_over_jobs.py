"""Start, watch and collect the background work that hands held jobs over to the scheduler."""

from __future__ import annotations

from contextlib import suppress

from attrs import define, field

from cloudq.application.agent.hand_over_job import HandOverJob, has_lost_its_files
from cloudq.application.agent.held_job import Cancel, HeldJob, Holdings, UnderWay
from cloudq.application.agent.job_trouble import JobTrouble
from cloudq.application.agent.permit import Permits
from cloudq.application.agent.prepare_job import PrepareJob
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
    stop_claim: StopClaim
    permits: Permits
    clock: Clock
    workers: Workers
    holdings: Holdings
    trouble: JobTrouble
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
        may_go_on = not held.is_handed_over and held.cancel is Cancel.NONE and held.retry_at <= now
        return may_go_on and held.hand_over is None

    def _begin(self, held: HeldJob) -> UnderWay:
        lane = self.prepare.lane_of(held) if self._needs_files(held) else Lane.SUBMIT
        self.permits.lease.confirm()
        permit = self.permits.issue()
        copied = held.copy_for(permit)
        started = self.workers.start(lambda: self._work(copied, lane), lane)
        held.hand_over = UnderWay(held, held.job, lane, permit, started)
        self._under_way.append(held.hand_over)
        return held.hand_over

    def _needs_files(self, held: HeldJob) -> bool:
        if held.is_elsewhere or has_lost_its_files(held) or held.space.attempts():
            return False
        return not self.prepare.has_its_files(held) and not self.hand_over.was_started_before(held)

    def _work(self, copied: HeldJob, lane: Lane) -> HeldJob:
        """Run one step of the hand-over, in the background."""
        assert copied.permit is not None  # noqa: S101 (made with one)
        if lane is Lane.SUBMIT:
            self.hand_over(copied)
        else:
            self.prepare(copied, copied.permit, lane)
        return copied

    def _wait(self, begun: list[UnderWay]) -> None:
        deadline = self.clock.elapsed() + WAIT_FOR_NEW_S
        for each in begun:
            each.started.wait(max(0.0, deadline - self.clock.elapsed()))

    # Collecting ------------------------------------------------------------------------------

    def _collect(self) -> None:
        for each in [each for each in self._under_way if each.started.is_done()]:
            self._under_way.remove(each)
            if each.held.hand_over is each and self.holdings.held.get(each.held.tag) is each.held:
                each.held.hand_over = None
                with self.trouble.of(each.held):
                    self._take_result(each)
            self._cancel_if_unwanted(each)

    def _take_result(self, done: UnderWay) -> None:
        held = done.held
        try:
            held.take_over(done.started.result(), done.job)
        except InputIsBig:
            held.has_big_input = True
        except (WorkAbandoned, LeaseLost):
            return  # given up on purpose; if the lease was renewed since, the next cycle begins again
        except WorkDirOccupied as error:
            self._wait_for_its_place(held, error)
        except REFUSALS as error:
            if done.lane is Lane.SUBMIT:
                raise
            if held.cancel is Cancel.NONE and held.end is None:
                self.hand_over.end_unstarted(held, JobState.ERROR, str(error))

    def _wait_for_its_place(self, held: HeldJob, error: WorkDirOccupied) -> None:
        """Wait until the place of the work directory is free; end the job after `OCCUPIED_FOR_S`.

        Something foreign is there, or the control directory, which names the owner, was removed.
        """
        now = self.clock.elapsed()
        held.occupied_since = now if held.occupied_since is None else held.occupied_since
        if now - held.occupied_since < OCCUPIED_FOR_S:
            raise error
        if held.cancel is Cancel.NONE and held.end is None:
            self.hand_over.end_unstarted(held, JobState.ERROR, f"{error}; the job was not started")

    def _cancel_if_unwanted(self, done: UnderWay) -> None:
        """Cancel what a submit command made after its job was given up: it can start nothing."""
        held = done.held
        if held.end is None and held.tag not in self.holdings.superseded:
            return  # its holder, perhaps of a later epoch, follows it
        with suppress(CloudqError), self.trouble.of_claim(held.tag):
            if local_ids := done.started.result().local_ids:
                self.stop_claim.cancel_all(held.tag, local_ids)
