"""The real `ClusterProvisioner`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from attrs import frozen

from cloudq.adapters.parallelcluster.command import Pcluster
from cloudq.adapters.parallelcluster.stacks import FoundStack, Stacks
from cloudq.domain.clusters.cluster import Cluster, Part, Stack, cluster_of
from cloudq.domain.errors import CloudProblem, NameTaken


@frozen
class ParallelClusterProvisioner:
    """A provisioner that uses CloudFormation for networks and look-ups, and ``pcluster`` for nodes."""

    stacks: Stacks
    pcluster: Pcluster

    def find(self, name: str) -> Cluster:
        return Cluster(name, self._own(name, Part.NETWORK), self._own(name, Part.NODES))

    def clusters(self) -> tuple[Cluster, ...]:
        parts_by_name: dict[str, dict[Part, Stack]] = {}
        for candidate in self.stacks.all():
            place = cluster_of(candidate.stack.name)
            if place and candidate.cluster == place[0]:
                parts_by_name.setdefault(place[0], {})[place[1]] = candidate.stack
        return tuple(
            Cluster(name, parts.get(Part.NETWORK), parts.get(Part.NODES))
            for name, parts in sorted(parts_by_name.items())
        )

    def create_network(self, name: str, template: str, parameters: Mapping[str, str]) -> None:
        self.stacks.create(Part.NETWORK.stack_of(name), template, parameters, cluster=name)

    def create_nodes(self, name: str, configuration: str) -> None:
        self.pcluster.create(Part.NODES.stack_of(name), configuration)

    def check_nodes(self, name: str, configuration: str, *, deeply: bool) -> None:
        self.pcluster.check()
        self.pcluster.check_configuration(Part.NODES.stack_of(name), configuration, deeply=deeply)

    def delete(self, name: str, part: Part) -> None:
        if self._own(name, part) is None:
            return
        remove = self.stacks.delete if part is Part.NETWORK else self.pcluster.delete
        remove(part.stack_of(name))

    def last_event(self, name: str, part: Part) -> str:
        return self.stacks.last_event(part.stack_of(name))

    def failures(self, name: str, part: Part) -> tuple[str, ...]:
        reasons: tuple[str, ...] = ()
        if part is Part.NODES:
            with suppress(CloudProblem):  # the events of the stack show the reasons, too
                reasons = self.pcluster.failures(part.stack_of(name))
        return (*reasons, *self.stacks.failures(part.stack_of(name)))

    def _own(self, name: str, part: Part) -> Stack | None:
        candidate = self.stacks.find(part.stack_of(name))
        if candidate is None:
            return None
        _refuse_foreign(candidate, name)
        return candidate.stack


def _refuse_foreign(candidate: FoundStack, cluster: str) -> None:
    if candidate.cluster != cluster:
        raise NameTaken(
            f"The stack ({candidate.stack.name}) exists, and cloudq did not create it: choose another name."
        )
