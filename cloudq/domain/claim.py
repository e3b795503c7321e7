"""Who holds a job: claims are numbered, created once, and never changed (protocol sections 2-4)."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from attrs import frozen


class ClaimKind(Enum):
    """What a claim does with the job."""

    RUN = "run"
    """A system takes the job."""
    CANCEL = "cancel"
    """The job ends without being run under this claim."""
    RELEASE = "release"
    """The job is taken back and offered again, to `Claim.systems`."""


@frozen
class Claim:
    """Claim number *n* on a job; whoever created it decided what comes next."""

    n: int
    kind: ClaimKind
    nonce: str
    time: datetime
    """By the creator's clock: for people, never compared with another machine's."""
    system: str = ""
    """The system that runs the job (kind ``run``)."""
    epoch: int = 0
    """The lease epoch of the agent that created it."""
    home: str = ""
    """The agent's home directory, by its random id: where the work directory is."""
    systems: tuple[str, ...] = ()
    """Who may take the job next (kind ``release``)."""
    by: str = ""
    """The client or agent that created it, for people."""
    reason: str = ""
    """For people: why this system took the job (kind ``run``), or why it is not run (``cancel``)."""
    format: str = "1.0"

    def is_run_by(self, system: str) -> bool:
        """Whether *system* holds the job by this claim."""
        return self.kind is ClaimKind.RUN and self.system == system


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
