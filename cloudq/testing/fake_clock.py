"""A clock that stands still until a test advances it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from attrs import define

NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@define
class FakeClock:
    """An implementation of the port `Clock`; time passes only by sleeping and by `pass_by`."""

    seconds: float = 0.0
    boot: str = "boot-1"

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def elapsed(self) -> float:
        return self.seconds

    def boot_id(self) -> str:
        return self.boot

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def pass_by(self, seconds: float) -> None:
        """Advance the time."""
        self.seconds += seconds
