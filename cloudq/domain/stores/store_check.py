"""The result of an agent's check of the store's conditional writes, as in its heartbeats (protocol 8)."""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import frozen

LASTS = timedelta(days=1)
LIST_LAG_TOLERATED_S = 60.0
"""The greatest age that a LIST may have (protocol 8.1)."""

_WEAK = "weak"


@frozen
class StoreCheck:
    """The time of the last check of the store; *flaws* describes what the store did wrong, empty if nothing.

    Heartbeats contain it as text: a time and, for a store with flaws, the word ``weak`` and the flaws. An
    agent of an older release does not recognize such a text as a check, and makes its own.
    """

    time: datetime
    flaws: str = ""

    @classmethod
    def parse(cls, text: str) -> StoreCheck | None:
        """Parse a check from a heartbeat; return None for a text that contains no check."""
        time, _, tail = text.partition(" ")
        word, _, flaws = tail.partition(": ")
        if word not in {"", _WEAK}:
            return None
        try:
            return cls(datetime.fromisoformat(time), flaws or "no reason was given" if word else "")
        except ValueError:
            return None

    def __str__(self) -> str:
        return self.time.isoformat() + (f" {_WEAK}: {self.flaws}" if self.flaws else "")

    @property
    def is_weak(self) -> bool:
        """Return whether the store's conditions are unreliable, so that section 8 of the protocol applies."""
        return bool(self.flaws)

    def is_recent(self, now: datetime) -> bool:
        """Return whether the check was made within a day of *now*, so that it need not be repeated.

        A time in the future counts like one that is as far in the past.
        """
        try:
            return now - LASTS < self.time <= now + LASTS
        except TypeError:  # a time without a zone
            return False
