"""Messages to the user while a cluster is created or deleted."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from cloudq.domain.clusters.cluster import Part


def _nothing(_: str) -> None:
    """Discard a message."""


@frozen
class Report:
    """Callbacks for messages: results, notes, and progress while the user waits."""

    say: Callable[[str], None] = _nothing
    note: Callable[[str], None] = _nothing
    progress: Callable[[str], None] = _nothing

    def stack(self, cluster: str, part: Part, doing: str) -> None:
        """Report what happens to a stack; *doing* is ``creating`` or ``deleting``."""
        self.say(f"The stack ({part.stack_of(cluster)}) is {doing}. Please wait a minute.")
