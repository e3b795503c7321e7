"""Carry out cancel requests, and give up claims that a newer claim replaced (protocol 3.5, 4.7)."""

from __future__ import annotations

from bisect import bisect_right

from attrs import define, field

from cloudq.application.agent.end_unstarted import EndUnstarted, was_started_before
from cloudq.application.agent.held_job import Cancel, HeldJob
from cloudq.application.agent.holdings import Holdings
from cloudq.application.agent.job_trouble import JobTrouble
from cloudq.application.agent.keep_hold import KeepHold
from cloudq.application.agent.stop_claim import StopClaim
from cloudq.application.shared.end_job import EndJob, load_or_none
from cloudq.application.shared.take_back_job import TakeBackJob
from cloudq.domain.jobs.claim import Claim, ClaimKind
from cloudq.domain.jobs.job import StoredJob
from cloudq.domain.jobs.job_state import JobState, may_follow
from cloudq.domain.names import ClaimTag
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobQueue, JobRepository
from cloudq.ports.workspace import Workspace

CANCEL_AGAIN_AFTER_S = 30.0
MOST_STRANGE_A_CYCLE = 50
"""A limit on cancel requests for unknown claims: each costs a query to the scheduler."""


@define
class CancelHeldJobs:
    """Cancel held jobs whose owners requested it."""

    keep_hold: KeepHold
    end_unstarted: EndUnstarted
    workspace: Workspace
    stop_claim: StopClaim
    clock: Clock
    holdings: Holdings
    trouble: JobTrouble
    system: str

    def __call__(self) -> None:
        """Take the next step of each cancel of a held job whose final state is not decided."""
        for tag in sorted(self.holdings.requests.cancels):
            held = self.holdings.held.get(tag)
            if held is None or held.end is not None or not self._is_due(held):
                continue
            with self.trouble.of(held):
                self._go_on(held)

    def _is_due(self, held: HeldJob) -> bool:
        """Return whether to act now; a back-off of the hand-over does not delay a new cancel."""
        return held.cancel is None or held.retry_at <= self.clock.elapsed()

    def _go_on(self, held: HeldJob) -> None:
        if held.cancel is None:
            if self.keep_hold.is_replaced(held):
                self.holdings.let_go(held.tag)
                return
            held.cancel = Cancel()
            held.give_up_hand_over()
            held.recovered()
            if may_follow(held.job.state, JobState.DELETING):  # else it is about to end anyway
                held.job = held.job.entered(JobState.DELETING, self.clock.now(), "cancel requested")
        now = self.clock.elapsed()
        accepted_at = held.cancel.accepted_at
        if accepted_at is not None and now - accepted_at < CANCEL_AGAIN_AFTER_S:
            return
        self._cancel(held, now)

    def _cancel(self, held: HeldJob, now: float) -> None:
        if self._is_certainly_unsubmitted(held) or held.is_being_submitted:
            # The lock keeps the script from starting, whatever the submit command under way does.
            self._end_unstarted(held)
            return
        held.learn(self.stop_claim.cancel_all(held.tag, held.scheduler_job_ids))
        if not held.is_handed_over and not held.is_elsewhere:
            self._end_unstarted(held)
        else:
            held.cancel = Cancel(accepted_at=now)

    def _is_certainly_unsubmitted(self, held: HeldJob) -> bool:
        """Return whether no submit command was begun, so that the scheduler need not be asked."""
        if held.is_handed_over or held.is_elsewhere or held.job.time_ready is not None:
            return False
        if held.is_being_submitted or held.space.attempts():
            return False
        # Its files may have been removed since a start that only the ledger shows.
        return not was_started_before(self.workspace, held.tag, held.job)

    def _end_unstarted(self, held: HeldJob) -> None:
        """End a job before its start; if its lock shows that it has started, the next cycle cancels it."""
        is_new = held.job.time_ready is None
        reason = "canceled before it was started" if is_new else "canceled: its files and local job are gone"
        owner = held.owner(self.system)
        result = self.end_unstarted(held.job, held.space, owner, JobState.DELETED, reason)
        held.apply(result, self.clock.elapsed())


@define
class LetGoOfClaims:
    """Clear up claims of this system that are no longer the newest of their jobs.

    Block their locks, cancel their scheduler jobs, and finish what the newer claim began.
    """

    jobs: JobRepository
    queue: JobQueue
    end_job: EndJob
    take_back: TakeBackJob
    stop_claim: StopClaim
    keep_hold: KeepHold
    workspace: Workspace
    holdings: Holdings
    trouble: JobTrouble
    system: str
    _last_strange: ClaimTag | None = field(default=None, init=False)

    def __call__(self) -> None:
        """Take the next step for each claim; one whose scheduler jobs still live stays for the next cycle."""
        holdings, requests = self.holdings, self.holdings.requests
        for tag in sorted(holdings.superseded - requests.done_cancels) + self._strange():
            with self.trouble.of_claim(tag):
                if self._is_cleared(tag):
                    holdings.superseded.discard(tag)
                    requests.done_cancels.add(tag)
                    holdings.withdraw.add(tag)

    def _strange(self) -> list[ClaimTag]:
        """Return the next claims with a cancel request that this agent does not know, in rotation."""
        holdings, requests = self.holdings, self.holdings.requests
        known = holdings.held.keys() | holdings.invitations.keys() | holdings.superseded
        strange = sorted(requests.cancels - known - requests.done_cancels)
        first = 0 if self._last_strange is None else bisect_right(strange, self._last_strange)
        chosen = (strange[first:] + strange[:first])[:MOST_STRANGE_A_CYCLE]
        self._last_strange = chosen[-1] if chosen else None
        return chosen

    def _is_cleared(self, tag: ClaimTag) -> bool:
        stored = load_or_none(self.jobs, tag.job_id)
        if stored is not None and stored.job.is_final:
            self.end_job.confirm_final(stored.job)
        newest = self._newest_claim(tag, stored) if stored is not None else None
        if newest is not None and newest.n == tag.n and newest.is_run_by(self.system):
            return self._is_settled(tag, stored)
        if not self._has_stopped(tag, stored.job.task_ids if stored else None):
            return False
        if stored is not None and newest is not None and newest.n == tag.n + 1:
            if newest.kind is ClaimKind.RELEASE:
                self.take_back.finish(tag.job_id, newest)
            elif newest.kind is ClaimKind.CANCEL:
                self.end_job.finish_canceled(stored, newest)
        return True

    def _newest_claim(self, tag: ClaimTag, stored: StoredJob) -> Claim | None:
        if stored.job.certain_claim == tag.n and stored.job.run_system == self.system:
            return self.keep_hold.newest_claim(tag, stored.job)
        return self.jobs.newest_claim(tag.job_id, stored.job.certain_claim)

    def _is_settled(self, tag: ClaimTag, stored: StoredJob | None) -> bool:
        """Return True if the job is final; otherwise put its queue entry again: the claim is still ours."""
        if stored is not None and stored.job.is_final:
            return True
        self.queue.invite(self.system, tag)
        self.queue.ring(self.system)
        return False

    def _has_stopped(self, tag: ClaimTag, tasks: tuple[int | None, ...] | None) -> bool:
        space = self.workspace.space(tag)
        started: tuple[str, ...] = ()
        if space.owner() is not None and tasks is not None:
            started = self.stop_claim.block(space, tasks)
        scheduler_job_ids = self.stop_claim.cancel_all(tag, started)
        if self.stop_claim.some_live(tag, scheduler_job_ids):
            return False
        if space.owner() is not None:
            space.note_staged_out()
        return True
