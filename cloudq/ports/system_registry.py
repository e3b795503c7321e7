"""The objects that systems publish about themselves in the bucket: leases, summaries, agent logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen

from cloudq.domain.jobs.lease import AgentState, Lease
from cloudq.domain.jobs.summary import ActiveSummary
from cloudq.ports.workers import Workers


@frozen
class SeenLease:
    """A lease as it was read, and its age by the store's clock."""

    lease: Lease
    age_s: float
    etag: str = ""
    """The ETag that a rewrite of exactly this lease must match; empty for a lease older than `lease.json`."""

    @property
    def agent_state(self) -> AgentState:
        """The state of the agent that wrote it."""
        return AgentState.of(self.lease, self.age_s)


@frozen
class SystemSign:
    """The facts about one system in a LIST of all systems, before anything of it is read."""

    system: str
    has_lease: bool
    heartbeat_age_s: float
    """Seconds since the last heartbeat by the store's clock; meaningless without a lease."""
    summary_epoch: int = 0
    """The epoch of its newest summary; 0 if there is none."""


@frozen
class StoreProbe:
    """The behavior of the store when conditional writes were raced."""

    winners: int
    """How many of the writers that raced for one key were confirmed by the store as its creator."""
    guards: bool
    """Whether a rewrite with a wrong ETag was refused."""


class SystemRegistry(Protocol):
    """The leases and summaries of all systems.

    All methods may raise `StoreUnavailable`, `StoreRefused` or `RecordRejected`.
    """

    def systems(self) -> Mapping[str, SystemSign]:
        """Return every system whose agent ever reported, by name, from one LIST."""
        ...

    def newest_lease(self, system: str) -> SeenLease | None:
        """Read the lease with its last heartbeat; return None if no agent ever took it."""
        ...

    def lease(self, sign: SystemSign) -> SeenLease | None:
        """Read the lease that *sign* shows; return None if it shows none."""
        ...

    def take_lease(self, system: str, lease: Lease, predecessor: SeenLease | None) -> str:
        """Put *lease* in the place of exactly *predecessor*; return the ETag.

        Raises `LeaseLost` if another process was first, and `OutcomeUnknown` if this call may have
        succeeded: then the caller reads the lease and compares nonces.
        """
        ...

    def send_heartbeat(self, system: str, lease: Lease, etag: str) -> str:
        """Rewrite the lease that has *etag*; return the new ETag. Raises like `take_lease`."""
        ...

    def publish_summary(self, system: str, summary: ActiveSummary) -> None:
        """Rewrite the summary of this epoch."""
        ...

    def summary_epochs(self, system: str, below: int) -> Sequence[int]:
        """Return the older epochs that have a summary, according to a listing, which may be old."""
        ...

    def drop_summaries(self, system: str, epochs: Sequence[int]) -> None:
        """Delete the summaries of these epochs."""
        ...

    def summary(self, sign: SystemSign) -> ActiveSummary | None:
        """Read a system's newest summary; return None if it has none."""
        ...

    def probe(self, system: str, workers: Workers) -> StoreProbe:
        """Race conditional writes on a separate key, and remove it.

        Raises `StoreUnavailable` or `WriteConflict` if the outcome of a write is unknown: then there is no
        result.
        """
        ...

    def begin_listing_probe(self, system: str) -> str:
        """Write a key that listings should show; return its name."""
        ...

    def lists_probe(self, system: str, name: str) -> bool:
        """Return whether a listing shows the key *name*."""
        ...

    def end_listing_probe(self, system: str, name: str) -> None:
        """Delete the key *name*."""
        ...

    def publish_agent_log(self, system: str, log: Path) -> None:
        """Upload the agent's recent log."""
        ...

    def agent_log(self, system: str) -> Iterator[bytes]:
        """Yield the agent's recent log in pieces. Raises `NoAgentLog` at the first one."""
        ...

    def delete_agent_log(self, system: str) -> bool:
        """Delete the agent's log; return whether there was one."""
        ...
