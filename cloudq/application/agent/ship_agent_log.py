"""Upload the agent's own recent log to the bucket, infrequently and not while the agent is idle."""

from __future__ import annotations

from pathlib import Path

from attrs import define, field

from cloudq.domain.errors import StoreProblem
from cloudq.ports.clock import Clock
from cloudq.ports.system_registry import SystemRegistry

AT_MOST_EVERY_S = 60.0


@define
class ShipAgentLog:
    """Upload the log file when it has grown, at most once a minute."""

    registry: SystemRegistry
    clock: Clock
    system: str
    log_file: Path | None
    _shipped_size: int = field(default=0, init=False)
    _shipped_at: float | None = field(default=None, init=False)

    def __call__(self) -> None:
        """Upload the log if it is due."""
        now = self.clock.elapsed()
        if self._shipped_at is None or now - self._shipped_at >= AT_MOST_EVERY_S:
            self.now()

    def now(self) -> None:
        """Upload the log now, unless nothing was logged since the last upload."""
        size = self._size()
        if self.log_file is None or size in {0, self._shipped_size}:
            return
        try:
            self.registry.publish_agent_log(self.system, self.log_file)
        except StoreProblem:
            return
        self._shipped_size, self._shipped_at = size, self.clock.elapsed()

    def _size(self) -> int:
        try:
            return self.log_file.stat().st_size if self.log_file else 0
        except OSError:
            return 0
