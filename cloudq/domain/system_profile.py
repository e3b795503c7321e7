"""What a kind of system is like: values that a profile's TOML file holds."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class SystemProfile:
    """Times are seconds; what a scheduler has no use for stays at its default."""

    name: str
    scheduler: str
    poll_interval: float
    """Between two queries for all jobs."""
    query_limit: float = 60.0
    """After which a query counts as failed."""
    submit_wait: float = 30.0
    """How long an agent waits for a submit command before it goes on with other jobs."""
    submit_limit: float = 120.0
    """After which a submit command is ended."""
