"""Choose which of the jobs offered to a system it takes now (protocol 7.2 to 7.4)."""

from __future__ import annotations

from attrs import frozen

from cloudq.application.agent.agent_settings import AgentSettings
from cloudq.application.agent.check_dependencies import CheckDependencies
from cloudq.application.agent.hold_lease import HoldLease
from cloudq.application.agent.holdings import Holdings, Invitation
from cloudq.application.agent.job_trouble import JobTrouble
from cloudq.domain.errors import SchedulerUnavailable
from cloudq.domain.jobs.claim import Claim
from cloudq.domain.jobs.placement import (
    MOST_BEYOND_FREE_SLOTS,
    MOST_WHILE_NOTHING_WAITS,
    RATE_OVER_S,
    claim_delay,
    expected_wait,
    is_sooner_here,
    why_claimed,
)
from cloudq.ports.batch_scheduler import BatchScheduler
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobRepository

LATER = "other systems may start it sooner"
MOST_LOOKED_AT = 50
"""The most jobs that a cycle without a free slot checks for claims of other systems."""


@frozen
class ChooseJobs:
    """Choose the jobs to take now, and note on each other job why it waits."""

    jobs: JobRepository
    dependencies: CheckDependencies
    scheduler: BatchScheduler
    clock: Clock
    settings: AgentSettings
    holdings: Holdings
    trouble: JobTrouble
    lease: HoldLease

    def __call__(self, due: list[Invitation], now: float) -> list[Invitation]:
        """Return which of *due*, all of them read, to take now; each group is ordered oldest first."""
        self.dependencies.begin_cycle()
        oldest_first = sorted(due, key=lambda invitation: -invitation.age_s(now))
        pressing = [invitation for invitation in oldest_first if self._needs_no_room(invitation)]
        others = [invitation for invitation in oldest_first if not self._needs_no_room(invitation)]
        doubt = self.lease.doubt() if others else ""
        for invitation in others:
            invitation.note = doubt or self._why_it_waits(invitation)
        waiting = [invitation for invitation in others if invitation.note and invitation.may_be_claimed]
        pressing += [invitation for invitation in waiting[:MOST_LOOKED_AT] if self._is_claimed(invitation)]
        ready = [invitation for invitation in others if not invitation.note]
        pinned = self._within_room([invitation for invitation in ready if invitation.is_pinned], 0)
        unpinned = [invitation for invitation in ready if not invitation.is_pinned]
        return pressing + pinned + self._within_room(self._unpinned(unpinned, now), len(pinned))

    def _needs_no_room(self, invitation: Invitation) -> bool:
        """Return whether the job is final, held already, to be canceled, or never to be run."""
        job, tag = invitation.read_record.job, invitation.tag
        if job.is_final or job.claim >= tag.n or tag in self.holdings.requests.cancels:
            return True
        return bool(self.dependencies.why_never(job))

    def _why_it_waits(self, invitation: Invitation) -> str:
        job, system = invitation.read_record.job, self.settings.system
        if invitation.tag.n == 1 and job.submit_to not in {"", system}:
            return f"submitted to {job.submit_to}, not to {system}"
        if not invitation.is_pinned and not self.settings.unpinned:
            return f"{system} takes only jobs submitted to it"
        if self.lease.is_store_weak and len(job.invited) > 1:
            return f"the store is weak: cancel the job, and submit it only to {' or '.join(job.invited)}"
        return self.dependencies.why_waiting(job)

    def _within_room(self, chosen: list[Invitation], taken: int) -> list[Invitation]:
        room = max(0, self.settings.max_held - len(self.holdings.held) - taken)
        for invitation in chosen[room:]:
            invitation.note = f"{self.settings.system} holds {self.settings.max_held} jobs already"
        for invitation in chosen[:room]:
            invitation.placement = invitation.placement or f"submitted to {self.settings.system} alone"
        return chosen[:room]

    # Jobs that any of several systems may take -----------------------------------------------

    def _unpinned(self, ready: list[Invitation], now: float) -> list[Invitation]:
        """Choose among jobs that several systems may take; all wait while the scheduler is unavailable."""
        if not ready:
            return []
        try:
            free = self._free_slots()
        except SchedulerUnavailable as error:
            for invitation in ready:
                invitation.note = str(error)
            return []
        at_once, left = self._that_start_at_once(ready, now, free or 0)
        remaining = ready[len(at_once) :]
        for invitation in remaining:
            invitation.note = LATER
        return at_once + ([] if left > 0 else self._that_wait_here(remaining, now, free))

    def _that_start_at_once(
        self, ready: list[Invitation], now: float, free: int
    ) -> tuple[list[Invitation], int]:
        """Return a job for each *free* slot, plus older ones claimed elsewhere, and the number of slots left.

        Every system begins with the oldest jobs. A system that has just lost some of them looks for
        a claim before it tries; otherwise it would stay idle although unclaimed jobs wait.
        """
        delay = self._delay(0.0)
        has_lost_some = self._taken_elsewhere_per_s(now) > 0
        chosen: list[Invitation] = []
        for invitation in _older_than(delay, ready, now)[: max(free, MOST_LOOKED_AT)]:
            if free < 1:
                break
            if not (has_lost_some and self._counts_as_claimed(invitation)):
                free -= 1
            invitation.placement = why_claimed(self.settings.system, 0.0, delay)
            chosen.append(invitation)
        return chosen, free

    def _that_wait_here(self, remaining: list[Invitation], now: float, free: int | None) -> list[Invitation]:
        """Return the jobs to queue here, and those claimed elsewhere, so that their entries are deleted."""
        waiting = self._longest_wait()
        wait = expected_wait(None if free is None else 0, self.holdings.recent_waits, waiting or 0.0)
        delay = self._delay(wait)
        may_take = MOST_BEYOND_FREE_SLOTS if wait != 0 else MOST_WHILE_NOTHING_WAITS
        chosen: list[Invitation] = []
        for invitation in _older_than(delay, remaining, now)[:MOST_LOOKED_AT]:
            if not self._counts_as_claimed(invitation):
                is_sooner = is_sooner_here(
                    wait, len(remaining) - len(chosen), self._taken_elsewhere_per_s(now)
                )
                if may_take < 1 or not (is_sooner or waiting is None):  # the first job measures the wait
                    break
                may_take -= 1
                invitation.placement = why_claimed(self.settings.system, wait, delay)
            invitation.note = ""
            chosen.append(invitation)
        return chosen

    def _is_claimed(self, invitation: Invitation) -> bool:
        """Return whether the job's claim exists already; if not, it is not looked for again.

        A claimed job is taken whatever it seems to wait for: its dependencies were over for the process
        that made the claim, and may be deleted by now.
        """
        is_claimed = False
        with self.trouble.of_invitation(invitation):
            invitation.may_be_claimed = is_claimed = self.jobs.claim(invitation.tag) is not None
        return is_claimed

    def _counts_as_claimed(self, invitation: Invitation) -> bool:
        """Return True if its claim exists or cannot be read: the error recurs where the job is taken."""
        claims: list[Claim | None] = []
        with self.trouble.of_invitation(invitation):
            claims.append(self.jobs.claim(invitation.tag))
        return claims != [None]

    def _taken_elsewhere_per_s(self, now: float) -> float:
        recent = sum(1 for at in self.holdings.others_took if now - at <= RATE_OVER_S)
        return recent / RATE_OVER_S

    def _delay(self, wait_s: float | None) -> float:
        return claim_delay(wait_s, self.settings.handicap_s, self.settings.poll_interval_s)

    def _longest_wait(self) -> float | None:
        """Return the longest wait in the scheduler's queue in seconds; None if no job waits there."""
        waiting = [held.job for held in self.holdings.unfinished() if not held.has_started]
        since = [job.time_ready or job.time_receive for job in waiting]
        now = self.clock.now()
        return max(((now - at).total_seconds() for at in since if at is not None), default=None)

    def _free_slots(self) -> int | None:
        free = self.scheduler.free_slots()
        if free is None:
            return None
        return free - sum(1 for held in self.holdings.unfinished() if not held.has_started)


def _older_than(delay_s: float, oldest_first: list[Invitation], now: float) -> list[Invitation]:
    return [invitation for invitation in oldest_first if invitation.age_s(now) >= delay_s]
