"""What a user hears while a cluster is made or removed."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from cloudq.domain.clusters.cluster import Part


def _nothing(_: str) -> None:
    """Nobody listens."""


@frozen
class Report:
    """Where words go: what belongs to the result, what is good to know, what changes while one waits."""

    say: Callable[[str], None] = _nothing
    note: Callable[[str], None] = _nothing
    progress: Callable[[str], None] = _nothing

    def stack(self, cluster: str, part: Part, doing: str) -> None:
        """Say that a stack is *doing*: creating or deleting."""
        self.say(f"The stack ({part.stack_of(cluster)}) is {doing}. Please wait a minute.")
