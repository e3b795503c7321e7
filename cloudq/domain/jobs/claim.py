"""Who holds a job: claims are numbered, created once, and never changed (protocol sections 2-4)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import Enum

from attrs import frozen


class ClaimKind(Enum):
    """What a claim does with the job."""

    RUN = "run"
    """A system takes the job."""
    CANCEL = "cancel"
    """The job ends: nobody runs it, or nobody waits any more for the system that does."""
    RELEASE = "release"
    """The job is taken back, or its invitations are, and it is offered again, to `Claim.systems`."""


@frozen
class Claim:
    """Claim number *n* on a job; whoever created it decided what comes next."""

    n: int
    kind: ClaimKind
    nonce: str
    time: datetime
    """By the creator's clock: for people, never compared with another machine's."""
    system: str = ""
    """The system that runs the job (kind ``run``), or from which it is taken (the other kinds).

    Empty in a claim of the other kinds: nobody held the job.
    """
    epoch: int = 0
    """The lease epoch of the agent that created it."""
    home: str = ""
    """The agent's home directory, by its random id: where the work directory is."""
    systems: tuple[str, ...] = ()
    """Who may take the job next (kind ``release``)."""
    no_longer: tuple[str, ...] = ()
    """Whose invitations this claim ends (kind ``release``)."""
    by: str = ""
    """The client or agent that created it, for people."""
    reason: str = ""
    """For people: why this system took the job (kind ``run``), or why it is not run (``cancel``)."""
    format: str = "1.0"

    @property
    def replaced(self) -> int:
        """The number of the claim that this one took from its holder, or from those it was offered to.

        Of a claim on a job that nobody held this is its own: that number was offered.
        """
        return self.n - 1 if self.system else self.n

    def is_run_by(self, system: str) -> bool:
        """Whether *system* holds the job by this claim."""
        return self.kind is ClaimKind.RUN and self.system == system


def entry_number(newest: Claim | None, system: str, invited: Iterable[str]) -> int | None:
    """The number of the queue entry that *system* should have for an unfinished job, if any.

    *newest* is the job's newest claim, *invited* the systems that its record names.
    """
    if newest is None:
        return 1 if system in invited else None
    if newest.is_run_by(system):
        return newest.n
    return newest.n + 1 if may_create_run_claim(newest.n + 1, newest, system) else None


def may_create_run_claim(n: int, previous: Claim | None, system: str) -> bool:
    """Whether *system* may create ``run`` claim *n* after claim *n* - 1 (protocol 3.5)."""
    if n == 1:
        return True
    return (
        previous is not None
        and previous.kind is ClaimKind.RELEASE
        and previous.n == n - 1
        and system in previous.systems
    )
