"""What an agent is told about itself."""

from __future__ import annotations

from attrs import frozen


@frozen
class AgentSettings:
    """Settings of one agent; times in seconds."""

    system: str
    account: str = ""
    group: str = ""
    poll_interval_s: float = 5.0
    keep_s: float = 86_400.0
    unpinned: bool = True
    handicap_s: float = 0.0
    accept_weak_store: bool = False
    """Whether to work on a store that ignores conditions (protocol 8)."""
    max_held: int = 10_000
    """Jobs held at once; more wait unclaimed."""
