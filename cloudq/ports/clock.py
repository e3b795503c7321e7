"""Time, ids and randomness: whatever would make a run unrepeatable."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """This machine's clocks."""

    def now(self) -> datetime:
        """The time in UTC, to the millisecond: for records and people, never compared with another's."""
        ...

    def elapsed(self) -> float:
        """Seconds on a clock that never jumps and runs through suspends; meaningless across boots."""
        ...

    def boot_id(self) -> str:
        """An id that changes with each boot: `elapsed` compares only within one."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; may return early when the process is asked to stop."""
        ...


class StoreTime(Protocol):
    """The store's clock, as its answers tell it, beside this machine's.

    Shows time that passed while this machine and its clocks stood still (a suspended virtual machine).
    """

    def mark(self) -> float | None:
        """How far the store's clock was at most ahead of `Clock.elapsed`; None before any answer."""
        ...

    def passed_unseen_s(self, mark: float | None) -> float:
        """Seconds by which the store's clock has certainly moved on since *mark* and the own one did not."""
        ...


class IdSource(Protocol):
    """Fresh ids."""

    def job_id(self) -> str:
        """8 random hexadecimal digits; may collide with an existing job's."""
        ...

    def nonce(self) -> str:
        """An id that never collides."""
        ...
