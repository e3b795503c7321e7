"""Wait until a stack is neither being created nor being deleted."""

from __future__ import annotations

from attrs import frozen

from cloudq.application.builder.cluster_report import Report
from cloudq.domain.clusters.cluster import Cluster, Part, StackState
from cloudq.domain.errors import CloudUnavailable, WaitTimedOut
from cloudq.ports.clock import Clock
from cloudq.ports.cluster_provisioner import ClusterProvisioner

POLL_S = 10.0
LONGEST_S = 2 * 3600.0
"""The longest wait in seconds, far above the time that a cloud allows a stack."""

SILENCE_S = 600.0
"""The seconds for which the cloud may be unreachable."""

_BUSY = {StackState.CREATING, StackState.DELETING}


@frozen
class AwaitStack:
    """Watch one part of a cluster."""

    provisioner: ClusterProvisioner
    clock: Clock
    report: Report
    poll_s: float = POLL_S

    def __call__(self, name: str, part: Part) -> Cluster:
        """Return the cluster once *part* is neither being created nor being deleted.

        A temporarily unreachable cloud is asked again, because it continues its work. Raises
        `CloudUnavailable` if it stays unreachable, and `WaitTimedOut`.
        """
        ends = self.clock.elapsed() + LONGEST_S
        answered = self.clock.elapsed()
        while self.clock.elapsed() < ends:
            self.clock.sleep(self.poll_s)  # no stack is created or deleted in an instant
            try:
                cluster = self.provisioner.find(name)
            except CloudUnavailable as error:
                if self.clock.elapsed() - answered > SILENCE_S:
                    raise
                self.report.progress(f"{part.stack_of(name)}: no answer, retrying: {error}")
            else:
                answered = self.clock.elapsed()
                stack = cluster.part(part)
                if stack is None or stack.state not in _BUSY:
                    return cluster
                self._show(name, part)
        raise WaitTimedOut(
            f"The stack ({part.stack_of(name)}) is still being created or deleted "
            f"after {LONGEST_S / 3600:.0f} hours."
        )

    def _show(self, name: str, part: Part) -> None:
        try:
            event = self.provisioner.last_event(name, part)
        except CloudUnavailable:
            return
        if event:
            self.report.progress(f"{part.stack_of(name)}: {event}")
