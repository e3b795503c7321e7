"""Report whether an agent acts for the system of this machine, and what keeps it from working."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from attrs import frozen

from cloudq.domain.errors import StoreProblem
from cloudq.domain.jobs.lease import AgentState, ProcessIdentity
from cloudq.ports.system_registry import SeenLease, SystemRegistry


class OwnProcess(Protocol):
    """The process of the agent of this home on this host."""

    def running(self) -> ProcessIdentity | None: ...
    def noted_trouble(self) -> str: ...


class Presence(Enum):
    """Whether an agent acts for the system, and where."""

    NEVER = "never"
    STOPPED = "stopped"
    AWAY = "away"
    HERE = "here"
    ELSEWHERE = "elsewhere"

    @property
    def is_acting(self) -> bool:
        """Return whether an agent acts for the system now."""
        return self in {Presence.HERE, Presence.ELSEWHERE}


@frozen
class AgentStatus:
    """The newest lease of the system, and what this machine knows about its own agent."""

    system: str
    seen: SeenLease | None
    here: ProcessIdentity | None
    """The agent's process on this host, which may be starting, or waiting in case the acting one ends."""
    trouble: str = ""
    """The problem that the agent here noted last."""
    doubt: str = ""
    """Why the agent of this home starts no jobs."""

    @property
    def presence(self) -> Presence:
        """Whether an agent acts for the system, by the lease."""
        if self.seen is None:
            return Presence.NEVER
        if self.seen.agent_state is not AgentState.ALIVE:
            return Presence.STOPPED if self.seen.agent_state is AgentState.STOPPED else Presence.AWAY
        return Presence.HERE if self.here == self.seen.lease.process else Presence.ELSEWHERE

    @property
    def last_error(self) -> str:
        """The most recent reason why the agent does not do all its work."""
        return self.trouble or self.doubt or ("" if self.seen is None else self.seen.lease.last_error)


@frozen
class ReportStatus:
    """Compare the lease of the system with the agent's process on this machine."""

    registry: SystemRegistry
    system: str
    process: OwnProcess
    doubt: Callable[[], str]
    """Returns why the agent of this home starts no jobs; empty if it starts jobs."""

    def __call__(self) -> AgentStatus:
        """Return the status: one LIST and one GET.

        A `StoreProblem` carries a note with the trouble of the agent that runs here.
        """
        here = self.process.running()
        trouble = self.process.noted_trouble() if here else ""
        try:
            seen = self.registry.newest_lease(self.system)
        except StoreProblem as error:
            if trouble and trouble not in str(error):
                error.add_note(f"The agent that runs here has trouble: {trouble}")
            raise
        return AgentStatus(self.system, seen, here, trouble, self.doubt())
