"""Permission for background work to go on: it ends with the epoch, a cancel, or the agent."""

from __future__ import annotations

from threading import Lock

from attrs import define, field

from cloudq.application.agent.hold_lease import HoldLease
from cloudq.domain.errors import LeaseLost, SubmitDeferred, WorkAbandoned


@define(eq=False)
class Permit:
    """Belongs to one piece of background work, which asks it before each step and while it waits.

    Either `revoke` or `commit` comes first, never both at once: what is revoked can do nothing
    any more that others would see.
    """

    permits: Permits
    epoch: int
    done_bytes: int = field(default=0, init=False)
    """How far a transfer has come: written by the work, read by the cycle."""
    is_committed: bool = field(default=False, init=False)
    """Whether the work did, or is doing, what cannot be undone: a submit command."""
    _is_revoked: bool = field(default=False, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def require(self) -> None:
        """Raise `WorkAbandoned` once the work is not wanted any more, or `LeaseLost`."""
        if self._is_revoked or self.permits.has_stopped:
            raise WorkAbandoned("the work was given up: the job was canceled, or the agent ends")
        lease = self.permits.lease
        lease.require()
        if lease.epoch != self.epoch:
            raise LeaseLost(f"The work was begun under epoch {self.epoch}, which is over.")

    def note(self, done_bytes: int) -> None:
        """Note the progress of a transfer. Raises as `require`."""
        self.done_bytes = done_bytes
        self.require()

    def commit(self) -> None:
        """Begin what cannot be undone, right after a heartbeat was confirmed.

        Raises as `require`, `SubmitDeferred` while the home is in doubt (protocol 6.7), and what
        kept the store from answering.
        """
        lease = self.permits.lease
        if doubt := lease.doubt():
            raise SubmitDeferred(doubt)
        lease.confirm()
        with self._lock:
            self.require()
            self.is_committed = True

    def revoke(self) -> None:
        """End the permission. What is not committed by now never will be."""
        with self._lock:
            self._is_revoked = True


@define(eq=False)
class Permits:
    """Issues the permits of one agent."""

    lease: HoldLease
    has_stopped: bool = field(default=False, init=False)
    """Whether the agent ends; set by a signal handler, which may take no lock."""

    def issue(self) -> Permit:
        """A permit of the epoch that is held. Raises `LeaseLost`."""
        return Permit(self, self.lease.epoch)
