"""Check jobs whose queue entries vanished (protocol 5.6, I9).

Such a job was taken, ended or taken back; otherwise its queue entry is put again.
"""

from __future__ import annotations

from attrs import define

from cloudq.application.agent.held_job import HeldJob
from cloudq.application.agent.holdings import Holdings
from cloudq.application.agent.job_trouble import JobTrouble
from cloudq.application.agent.keep_hold import KeepHold
from cloudq.application.shared.end_job import load_or_none
from cloudq.domain.jobs.claim import entry_number
from cloudq.domain.names import ClaimTag
from cloudq.ports.job_repository import JobQueue, JobRepository

MOST_A_CYCLE = 50


@define
class CheckQueueEntries:
    """Check the claims of held and waiting jobs whose queue entries a listing did not show."""

    jobs: JobRepository
    keep_hold: KeepHold
    queue: JobQueue
    holdings: Holdings
    trouble: JobTrouble
    system: str

    def __call__(self) -> None:
        """Check each of these jobs once after the listing."""
        for held in [held for held in self.holdings.held.values() if held.has_lost_its_queue_entry]:
            with self.trouble.of(held):
                self._check(held)
        for tag in sorted(self.holdings.vanished)[:MOST_A_CYCLE]:
            with self.trouble.of_claim(tag):
                if self._is_still_offered(tag):
                    self.queue.invite(self.system, tag)
                    self.queue.ring(self.system)
                self.holdings.vanished.discard(tag)

    def _check(self, held: HeldJob) -> None:
        if self.keep_hold.is_replaced(held):
            self.holdings.let_go(held.tag)
        else:
            self.queue.invite(self.system, held.tag)
        held.has_lost_its_queue_entry = False

    def _is_still_offered(self, tag: ClaimTag) -> bool:
        """Return whether the system is invited or holds the job, and no claim explains the missing entry.

        A process that cancels, takes or requeues a job creates a claim before it deletes queue entries.
        The claim may be this system's own, if the store did not answer when it was created.
        """
        stored = load_or_none(self.jobs, tag.job_id)
        if stored is None or stored.job.is_final:
            return False
        newest = self.jobs.newest_claim(tag.job_id, stored.job.certain_claim)
        is_due = entry_number(newest, self.system, stored.job.invited) == tag.n
        return is_due and not self.queue.holds_queue_entry(self.system, tag)
