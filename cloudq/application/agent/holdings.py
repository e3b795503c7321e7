"""The agent's state in memory of all jobs that it holds, is invited to, or must give up.

Nothing here has to survive a crash: all of it can be read again from the bucket and the workspace.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from attrs import define, field

from cloudq.application.agent.held_job import HeldJob, Retried
from cloudq.domain.jobs.job import StoredJob
from cloudq.domain.names import ClaimTag
from cloudq.ports.job_repository import TaskRequest

MAX_RECENT_WAITS = 20
MAX_OTHERS_TOOK = 1_000


@define(eq=False)
class Invitation(Retried):
    """The queue entry of a job that, as far as this agent can see, has no holder yet."""

    tag: ClaimTag
    listed_age_s: float
    listed_at: float
    stored: StoredJob | None = None
    read_at: float = 0.0
    is_newly_listed: bool = True
    """Whether it was listed since the agent last looked at it."""
    may_be_claimed: bool = True
    """Whether a claim may exist, made by a process that died or by a request without an answer."""
    absent_listings: int = 0
    """The number of listings after which its manifest was found absent."""
    placement: str = ""
    """Why this system takes the job, as shown to its owner."""

    @property
    def read_record(self) -> StoredJob:
        """The record of an invitation that was read."""
        assert self.stored is not None  # noqa: S101 (only read invitations are chosen)
        return self.stored

    @property
    def is_pinned(self) -> bool:
        """Return whether no other system was invited, by the owner or by the user who took the job back."""
        job = self.read_record.job
        return bool(job.submit_to) if self.tag.n == 1 else len(job.invited) == 1

    def age_s(self, now: float) -> float:
        """Return the age of the queue entry in seconds: by the store's clock at the LIST, by ours since."""
        return self.listed_age_s + now - self.listed_at


@define(eq=False)
class Requests:
    """The requests of clients in the system's queue, and those of them that are done with."""

    cancels: set[ClaimTag] = field(factory=set)
    task_cancels: set[TaskRequest] = field(factory=set)
    done_cancels: set[ClaimTag] = field(factory=set)
    """Cancels to delete from the queue, as in the other two sets."""
    done_follows: set[ClaimTag] = field(factory=set)
    done_task_cancels: set[TaskRequest] = field(factory=set)
    refreshes: set[ClaimTag] = field(factory=set)
    """The jobs of which a client wants the present states (protocol 7.9)."""
    done_refreshes: set[ClaimTag] = field(factory=set)
    """Those for which the scheduler answered: their records and the summary are written next."""

    @property
    def some_are_done(self) -> bool:
        """Return whether a request must be deleted from the queue."""
        return any((self.done_cancels, self.done_follows, self.done_task_cancels, self.done_refreshes))

    def answer_refreshes(self, tags: Iterable[ClaimTag]) -> None:
        """Note that the scheduler's answer to the requests for *tags* is known."""
        self.done_refreshes |= self.refreshes & set(tags)
        self.refreshes -= self.done_refreshes

    def were_deleted(self) -> None:
        """Forget the requests that are done with, once they are deleted from the queue."""
        self.cancels -= self.done_cancels
        self.task_cancels -= self.done_task_cancels
        self.done_cancels.clear()
        self.done_follows.clear()
        self.done_task_cancels.clear()
        self.done_refreshes.clear()


@define(eq=False)
class Holdings:
    """The jobs that an agent holds, is invited to, or must give up."""

    held: dict[ClaimTag, HeldJob] = field(factory=dict)
    invitations: dict[ClaimTag, Invitation] = field(factory=dict)
    vanished: set[ClaimTag] = field(factory=set)
    """Earlier invitations that a listing did not show."""
    superseded: set[ClaimTag] = field(factory=set)
    """Claims of this system that a newer claim replaced, until their scheduler jobs have ended."""
    withdraw: set[ClaimTag] = field(factory=set)
    """Queue entries to delete once the summary without their jobs is published."""
    requests: Requests = field(factory=Requests)
    recent_waits: deque[float] = field(factory=lambda: deque(maxlen=MAX_RECENT_WAITS))
    """The seconds that each of the last jobs waited in the scheduler's queue."""
    others_took: deque[float] = field(factory=lambda: deque(maxlen=MAX_OTHERS_TOOK))
    """When unpinned jobs were found to be claimed by other systems, by this machine's clock."""

    @property
    def known(self) -> set[ClaimTag]:
        """The claims that concern this agent at the moment."""
        return {*self.held, *self.invitations, *self.superseded, *self.withdraw}

    def unfinished(self) -> Iterator[HeldJob]:
        """Return the held jobs whose final state is not decided."""
        return (held for held in self.held.values() if held.end is None)

    def clear(self) -> None:
        """Forget everything; it can be read again from the bucket and the workspace."""
        self.held.clear()
        self.invitations.clear()
        for claims in (self.vanished, self.superseded, self.withdraw):
            claims.clear()
        self.requests = Requests()

    def let_go(self, tag: ClaimTag) -> None:
        """Stop holding a job whose claim was replaced by a newer one."""
        held = self.held.pop(tag, None)
        if held is not None:
            held.give_up_hand_over()
            held.give_up_log_turn()
        self.superseded.add(tag)
