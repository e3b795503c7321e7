"""Find new jobs and requests: one cheap request per poll, a listing when the doorbell rang."""

from __future__ import annotations

from attrs import define, field

from cloudq.application.agent.holdings import Holdings, Invitation
from cloudq.ports.clock import Clock
from cloudq.ports.job_repository import JobQueue, QueueEntry, QueueListing

LIST_AT_LEAST_EVERY_S = 300.0
FOLLOW_LASTS_S = 600.0
LISTED_A_PART = 2
"""How often a part of the queue is listed: entries of jobs absent at two listings are deleted."""


@define
class WatchQueue:
    """Read the system's queue into the holdings (protocol 7.1)."""

    queue: JobQueue
    clock: Clock
    system: str
    holdings: Holdings
    _bell: str = field(default="", init=False)
    _listed_at: float | None = field(default=None, init=False)
    _after: str = field(default="", init=False)
    """Where the current part of the queue begins; a queue of normal size has only one part."""
    _rest_after: str = field(default="", init=False)
    _times_listed: int = field(default=0, init=False)

    def __call__(self) -> None:
        """Check the doorbell; list the queue if it rang, or if the last listing is old."""
        bell = self.queue.doorbell(self.system, self._bell)
        now = self.clock.elapsed()
        is_done = self._is_done_with_part()
        if bell == self._bell and not self._is_due(now) and not is_done:
            return
        if is_done and self._times_listed >= LISTED_A_PART:
            self._after, self._times_listed = self._rest_after, 0
        listing = self.queue.listing(self.system, self._after)
        self._bell, self._listed_at, self._rest_after = bell, now, listing.rest_after
        self._times_listed += 1
        self._take(listing, now)

    def list_again(self) -> None:
        """Make the next call list the queue, whatever the doorbell shows."""
        self._listed_at = None

    @property
    def has_seen_all(self) -> bool:
        """Return whether the whole queue was listed in this epoch; a job unknown now was not shown."""
        return self._listed_at is not None and not self._sees_a_part

    @property
    def _sees_a_part(self) -> bool:
        return bool(self._after or self._rest_after)

    def _is_done_with_part(self) -> bool:
        """Return whether the next part is due: every job of this one was read, or could not be read."""
        if not self._sees_a_part:
            return False
        return all(
            invitation.retries or not invitation.is_newly_listed
            for invitation in self.holdings.invitations.values()
        )

    def _is_due(self, now: float) -> bool:
        return self._listed_at is None or now - self._listed_at >= LIST_AT_LEAST_EVERY_S

    def _take(self, listing: QueueListing, now: float) -> None:
        holdings = self.holdings
        known = holdings.held.keys() | holdings.withdraw | holdings.superseded
        queue_entries = {
            queue_entry.tag: queue_entry
            for queue_entry in listing.queue_entries
            if queue_entry.tag not in known
        }
        if not self._sees_a_part:
            holdings.vanished |= holdings.invitations.keys() - queue_entries.keys()
        holdings.invitations = {
            tag: self._invitation(queue_entry, now) for tag, queue_entry in queue_entries.items()
        }
        self._take_requests(listing)
        held_queue_entries = {queue_entry.tag for queue_entry in listing.queue_entries}
        for tag, held in holdings.held.items():
            held.has_lost_its_queue_entry = not self._sees_a_part and tag not in held_queue_entries
        self._note_follows(listing.follows, now)

    def _take_requests(self, listing: QueueListing) -> None:
        """Take the listed requests; if only a part is listed, also keep earlier requests for held jobs."""
        requests, held = self.holdings.requests, self.holdings.held
        cancels, task_cancels = set(listing.cancels), set(listing.task_cancels)
        if self._sees_a_part:
            cancels |= requests.cancels & held.keys()
            task_cancels |= {request for request in requests.task_cancels if request.tag in held}
        requests.cancels, requests.task_cancels = cancels, task_cancels
        requests.refreshes = set(listing.refreshes) - requests.done_refreshes

    def _invitation(self, queue_entry: QueueEntry, now: float) -> Invitation:
        known = self.holdings.invitations.get(queue_entry.tag)
        if known is None:
            return Invitation(queue_entry.tag, queue_entry.age_s, now)
        known.listed_age_s, known.listed_at = queue_entry.age_s, now
        known.is_newly_listed = True
        return known

    def _note_follows(self, follows: tuple[QueueEntry, ...], now: float) -> None:
        stale = []
        for request in follows:
            held = self.holdings.held.get(request.tag)
            if held is None or request.age_s > FOLLOW_LASTS_S:
                stale.append(request.tag)
            else:
                held.logs.followed_until = now + FOLLOW_LASTS_S - request.age_s
        invited = self.holdings.invitations
        self.holdings.requests.done_follows = {tag for tag in stale if tag not in invited}
