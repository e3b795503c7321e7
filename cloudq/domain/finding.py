"""What an examination found: how bad it is, what it is, what to do about it."""

from __future__ import annotations

from enum import Enum

from attrs import frozen


class Level(Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as it should, or not for long."""
    PROBLEM = "problem"
    """Jobs cannot be submitted, run or brought back before somebody does something."""
    NOT_ASKED = "could not ask"
    """Nothing is known: the question itself failed."""


@frozen
class Finding:
    """One line of an examination."""

    level: Level
    check: str
    what: str
    to_do: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether not all is known to be well enough to work."""
        return self.level in {Level.PROBLEM, Level.NOT_ASKED}
