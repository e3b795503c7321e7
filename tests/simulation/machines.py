"""Machines, each with clocks of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from attrs import define, field

from cloudq.testing.fake_clock import FakeClock


@define
class Host:
    """A machine, with clocks of its own."""

    name: str
    ahead_s: float
    """How far its wall clock is ahead of the store's."""
    booted_at: float = 0.0
    boot: str = "boot 1"
    stood_still_s: float = 0.0
    """How long it was stopped together with its clocks."""
    gone: set[int] = field(factory=set)
    """Processes of this machine that have ended."""


@define
class HostClock:
    """The port `Clock` of one process on a machine."""

    base: FakeClock
    host: Host
    boot: str
    sleeps: bool
    """Whether sleeping takes time: who runs in steps sleeps between them."""

    meanwhile: Callable[[], None] = lambda: None
    """What the process does while it sleeps."""

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
