"""Time, ids and randomness: everything that would make a run unrepeatable."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The clocks of this machine."""

    def now(self) -> datetime:
        """Return the time in UTC, to the millisecond.

        It is for records and people, and never compared with another machine's time.
        """
        ...

    def elapsed(self) -> float:
        """Return seconds on a clock that never jumps and runs during suspends; meaningless across boots."""
        ...

    def boot_id(self) -> str:
        """Return an id that changes with each boot: `elapsed` is comparable only within one boot."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; may return early if the process is asked to stop."""
        ...


class StoreTime(Protocol):
    """The store's clock, as its answers show it, compared with this machine's.

    It reveals time that passed while this machine and its clocks stood still (a suspended virtual machine).
    """

    def mark(self) -> float | None:
        """Return how far the store's clock was at most ahead of `Clock.elapsed`; None before any answer."""
        ...

    def passed_unseen_s(self, mark: float | None) -> float:
        """Return the seconds by which the store's clock advanced since *mark*, and this machine's did not.

        Only what is certain counts.
        """
        ...


class IdSource(Protocol):
    """A source of new ids."""

    def job_id(self) -> str:
        """Return 8 random hexadecimal digits, which may collide with an existing job's id."""
        ...

    def nonce(self) -> str:
        """Return an id that never collides."""
        ...
