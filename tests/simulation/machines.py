"""Simulate machines, each with its own clocks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from attrs import define, field

from cloudq.testing.fake_clock import FakeClock


@define
class Host:
    """A machine with its own clocks."""

    name: str
    ahead_s: float
    """The seconds by which its wall clock is ahead of the store's."""
    booted_at: float = 0.0
    boot: str = "boot 1"
    stood_still_s: float = 0.0
    """The seconds for which it was stopped together with its clocks."""
    gone: set[int] = field(factory=set)
    """The processes of this machine that have ended."""


@define
class HostClock:
    """The port `Clock` of one process on a machine."""

    base: FakeClock
    host: Host
    boot: str
    sleeps: bool
    """Whether sleeping takes time; a process that runs in steps sleeps between them instead."""

    meanwhile: Callable[[], None] = lambda: None
    """The work of the process while it sleeps."""

    def now(self) -> datetime:
        return self.base.now() + timedelta(seconds=self.host.ahead_s - self.host.stood_still_s)

    def elapsed(self) -> float:
        return self.base.seconds - self.host.booted_at - self.host.stood_still_s

    def boot_id(self) -> str:
        return self.boot

    def sleep(self, seconds: float) -> None:
        if self.sleeps:
            self.base.seconds += seconds
            self.meanwhile()
