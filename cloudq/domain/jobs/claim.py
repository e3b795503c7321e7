"""Claims on jobs, which are numbered, created once and never changed (protocol sections 2-4)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import Enum

from attrs import frozen


class ClaimKind(Enum):
    """The effect of a claim on a job."""

    RUN = "run"
    """A system takes the job."""
    CANCEL = "cancel"
    """The job ends: no system runs it, or the system that does is no longer waited for."""
    RELEASE = "release"
    """The job is taken back, or its queue entries are, and it is offered again to `Claim.systems`."""


@frozen
class Claim:
    """Claim number *n* on a job; the process that created it decided what happens next."""

    n: int
    kind: ClaimKind
    nonce: str
    time: datetime
    """The time by the creator's clock, for people; it is never compared with another machine's clock."""
    system: str = ""
    """The system that runs the job (kind ``run``), or from which it is taken (the other kinds).

    If it is empty in a claim of another kind, no system held the job.
    """
    epoch: int = 0
    """The lease epoch of the agent that created it."""
    home: str = ""
    """The home of the agent, by its random id: it contains the work directory."""
    systems: tuple[str, ...] = ()
    """The systems that may take the job next (kind ``release``)."""
    no_longer: tuple[str, ...] = ()
    """The systems whose queue entries this claim ends (kind ``release``)."""
    by: str = ""
    """The client or agent that created the claim, for people."""
    reason: str = ""
    """The reason, for people: why this system took the job (``run``), or why it is not run (``cancel``)."""
    format: str = "1.0"

    @property
    def replaced(self) -> int:
        """The number of the claim that this one took from its holder, or from the systems it was offered to.

        If no system held the job, this is the claim's own number, because that number was offered.
        """
        return self.n - 1 if self.system else self.n

    def is_run_by(self, system: str) -> bool:
        """Return whether *system* holds the job by this claim."""
        return self.kind is ClaimKind.RUN and self.system == system


def entry_number(newest: Claim | None, system: str, invited: Iterable[str]) -> int | None:
    """Return the number of the queue entry that *system* should have for an unfinished job, if any.

    *newest* is the job's newest claim, *invited* the systems that its record names.
    """
    if newest is None:
        return 1 if system in invited else None
    if newest.is_run_by(system):
        return newest.n
    return newest.n + 1 if may_create_run_claim(newest.n + 1, newest, system) else None


def may_create_run_claim(n: int, previous: Claim | None, system: str) -> bool:
    """Return whether *system* may create ``run`` claim *n* after claim *n* - 1 (protocol 3.5)."""
    if n == 1:
        return True
    return (
        previous is not None
        and previous.kind is ClaimKind.RELEASE
        and previous.n == n - 1
        and system in previous.systems
    )
