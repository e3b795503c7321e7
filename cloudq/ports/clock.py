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


class IdSource(Protocol):
    """Fresh ids."""

    def job_id(self) -> str:
        """8 random hexadecimal digits; may collide with an existing job's."""
        ...

    def nonce(self) -> str:
        """An id that never collides."""
        ...
