"""Wait until a stack has come to rest."""

from __future__ import annotations

from attrs import frozen

from cloudq.application.builder.cluster_report import Report
from cloudq.domain.clusters.cluster import Cluster, Part, StackState
from cloudq.domain.errors import CloudUnavailable, WaitTimedOut
from cloudq.ports.clock import Clock
from cloudq.ports.cluster_provisioner import ClusterProvisioner

POLL_S = 10.0
LONGEST_S = 2 * 3600.0
"""Far above what a cloud lets a stack take."""

SILENCE_S = 600.0
"""How long the cloud may be out of reach."""

_BUSY = {StackState.CREATING, StackState.DELETING}


@frozen
class AwaitStack:
    """Watches one part of a cluster."""

    provisioner: ClusterProvisioner
    clock: Clock
    report: Report
    poll_s: float = POLL_S

    def __call__(self, name: str, part: Part) -> Cluster:
        """The cluster once *part* is neither being made nor removed.

        A cloud that is out of reach for a while is asked again: it goes on without us. Raises
        `CloudUnavailable` if that lasts, and `WaitTimedOut`.
        """
        ends = self.clock.elapsed() + LONGEST_S
        answered = self.clock.elapsed()
        while self.clock.elapsed() < ends:
            self.clock.sleep(self.poll_s)  # nothing is made or removed in an instant
            try:
                cluster = self.provisioner.find(name)
            except CloudUnavailable as error:
                if self.clock.elapsed() - answered > SILENCE_S:
                    raise
                self.report.progress(f"{part.stack_of(name)}: no answer, asking again: {error}")
            else:
                answered = self.clock.elapsed()
                stack = cluster.part(part)
                if stack is None or stack.state not in _BUSY:
                    return cluster
                self._show(name, part)
        raise WaitTimedOut(
            f"The stack ({part.stack_of(name)}) is still at it after {LONGEST_S / 3600:.0f} hours."
        )

    def _show(self, name: str, part: Part) -> None:
        try:
            event = self.provisioner.last_event(name, part)
        except CloudUnavailable:
            return
        if event:
            self.report.progress(f"{part.stack_of(name)}: {event}")
