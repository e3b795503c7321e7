"""The settings that an agent is built with."""

from __future__ import annotations

from attrs import frozen


@frozen
class AgentSettings:
    """The settings of one agent; times in seconds."""

    system: str
    account: str = ""
    group: str = ""
    poll_interval_s: float = 5.0
    keep_s: float = 86_400.0
    unpinned: bool = True
    handicap_s: float = 0.0
    accept_weak_store: bool = False
    """Whether to work with a store that ignores conditions (protocol 8)."""
    max_held: int = 10_000
    """The most jobs that are held at once; further jobs wait unclaimed."""
