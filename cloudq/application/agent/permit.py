"""Permits for background work, which end with the epoch, a cancel or the agent."""

from __future__ import annotations

from threading import Lock

from attrs import define, field

from cloudq.application.agent.hold_lease import HoldLease
from cloudq.domain.errors import LeaseLost, SubmitDeferred, WorkAbandoned


@define(eq=False)
class Permit:
    """The permit of one piece of background work, which checks it before each step and while it waits.

    Either `revoke` or `commit` comes first, never both at once: after `revoke`, the work can do
    nothing that other processes would see.
    """

    permits: Permits
    epoch: int
    done_bytes: int = field(default=0, init=False)
    """The bytes transferred so far: written by the work, read by the cycle."""
    is_committed: bool = field(default=False, init=False)
    """Whether the work has begun a step that cannot be undone: a submit command."""
    _is_revoked: bool = field(default=False, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def require(self) -> None:
        """Raise `WorkAbandoned` if the work is no longer wanted, `LeaseLost` if its epoch is over."""
        if self._is_revoked or self.permits.has_stopped:
            raise WorkAbandoned("the work was given up: the job was canceled, or the agent ends")
        lease = self.permits.lease
        lease.require()
        if lease.epoch != self.epoch:
            raise LeaseLost(f"The work was started under epoch {self.epoch}, which has ended.")

    def note(self, done_bytes: int) -> None:
        """Note the progress of a transfer. Raises the errors of `require`."""
        self.done_bytes = done_bytes
        self.require()

    def commit(self) -> None:
        """Permit a step that cannot be undone, right after a confirmed heartbeat.

        Raises the errors of `require`, `SubmitDeferred` while the home is in doubt (protocol 6.7), and
        the error that kept the store from answering.
        """
        lease = self.permits.lease
        lease.confirm()  # first: the answer may raise a doubt
        if doubt := lease.doubt():
            raise SubmitDeferred(doubt)
        with self._lock:
            self.require()
            self.is_committed = True

    def revoke(self) -> None:
        """Withdraw the permit; work that is not committed yet never will be."""
        with self._lock:
            self._is_revoked = True


@define(eq=False)
class Permits:
    """The issuer of one agent's permits."""

    lease: HoldLease
    has_stopped: bool = field(default=False, init=False)
    """Whether the agent is ending; set by a signal handler, which must take no lock."""

    def issue(self) -> Permit:
        """Issue a permit for the epoch that is held. Raises `LeaseLost` if none is."""
        return Permit(self, self.lease.epoch)
