"""What systems tell of themselves in the bucket: leases, summaries, agent logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen

from cloudq.domain.jobs.lease import Lease
from cloudq.domain.jobs.summary import ActiveSummary
from cloudq.ports.workers import Workers


@frozen
class SeenLease:
    """A lease as it was read, and its age by the store's clock."""

    lease: Lease
    age_s: float
    etag: str = ""
    """What a rewrite of exactly this lease must match; empty for one of an agent from before `lease.json`."""


@frozen
class SystemSign:
    """What one LIST of all systems shows of one: nothing of it was read yet."""

    system: str
    has_lease: bool
    beat_age_s: float
    """Seconds since the last beat by the store's clock; meaningless without a lease."""
    summary_epoch: int = 0
    """The epoch of its newest summary; 0 when it has none."""


@frozen
class StoreProbe:
    """What the store did with conditional writes that were raced."""

    winners: int
    """How many of the writers that created one key at once were told that they had."""
    guards: bool
    """Whether a rewrite with a wrong ETag was refused."""


class SystemRegistry(Protocol):
    """Leases and summaries of all systems.

    May raise `StoreUnavailable`, `StoreRefused`, `RecordRejected`.
    """

    def systems(self) -> Mapping[str, SystemSign]:
        """Every system whose agent ever reported, by name, from one LIST."""
        ...

    def newest_lease(self, system: str) -> SeenLease | None:
        """Read the lease with its last heartbeat, None if no agent ever took it."""
        ...

    def lease(self, sign: SystemSign) -> SeenLease | None:
        """Read the lease that *sign* tells of, None if it tells of none."""
        ...

    def take_lease(self, system: str, lease: Lease, predecessor: SeenLease | None) -> str:
        """Put *lease* in the place of exactly *predecessor*; return the ETag.

        Raises `LeaseLost` if another process was first, `OutcomeUnknown` if it may have been
        this very call: the caller reads the lease and compares nonces.
        """
        ...

    def beat(self, system: str, lease: Lease, etag: str) -> str:
        """Rewrite the lease that has *etag*; return the new ETag. Raises as `take_lease`."""
        ...

    def publish_summary(self, system: str, summary: ActiveSummary) -> None:
        """Rewrite the summary of this epoch."""
        ...

    def summary_epochs(self, system: str, below: int) -> Sequence[int]:
        """The older epochs of which a listing shows a summary; it may be old."""
        ...

    def drop_summaries(self, system: str, epochs: Sequence[int]) -> None:
        """Delete the summaries of these epochs."""
        ...

    def summary(self, sign: SystemSign) -> ActiveSummary | None:
        """Read a system's newest summary, None if it has none."""
        ...

    def probe(self, system: str, workers: Workers) -> StoreProbe:
        """Race conditional writes on a key of their own, and remove it.

        Raises `StoreUnavailable` or `WriteConflict` if the outcome of one is unknown: that is no result.
        """
        ...

    def begin_listing_probe(self, system: str) -> str:
        """Write a key that listings should show; return its name."""
        ...

    def lists_probe(self, system: str, name: str) -> bool:
        """Whether a listing shows it."""
        ...

    def end_listing_probe(self, system: str, name: str) -> None:
        """Delete it."""
        ...

    def publish_agent_log(self, system: str, log: Path) -> None:
        """Upload the agent's recent log."""
        ...

    def agent_log(self, system: str) -> Iterator[bytes]:
        """The agent's recent log. Raises `ObjectNotFound`."""
        ...

    def delete_agent_log(self, system: str) -> bool:
        """Delete the agent's log; whether there was one."""
        ...
