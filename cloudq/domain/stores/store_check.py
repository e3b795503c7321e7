"""What an agent found out about the store's conditional writes, as its beats tell it (protocol 8)."""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import frozen

LASTS = timedelta(days=1)
LIST_LAG_TOLERATED_S = 60.0
"""How old a LIST may be (protocol 8.1)."""

_WEAK = "weak"


@frozen
class StoreCheck:
    """When the store was tried last; *flaws* says what it did wrong, empty: nothing.

    Its text stands in the beats: a time and, for a store with flaws, the word ``weak`` and the
    flaws. An agent of an older release takes such a text for no check and makes its own.
    """

    time: datetime
    flaws: str = ""

    @classmethod
    def parse(cls, text: str) -> StoreCheck | None:
        """Read a check from a beat; None for a text that tells of none."""
        time, _, rest = text.partition(" ")
        word, _, flaws = rest.partition(": ")
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
        """Whether conditions cannot be relied on there, so that section 8 of the protocol holds."""
        return bool(self.flaws)

    def is_recent(self, now: datetime) -> bool:
        """Whether it need not be made again; one from the future is as old as it is ahead."""
        try:
            return now - LASTS < self.time <= now + LASTS
        except TypeError:  # a time without a zone
            return False
