"""The findings of an examination: how bad each is, what it is and what to do about it."""

from __future__ import annotations

from enum import Enum

from attrs import frozen


class Level(Enum):
    """The severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as it should, or not for long."""
    PROBLEM = "problem"
    """Jobs cannot be submitted, run or brought back until someone acts."""
    NOT_ASKED = "could not ask"
    """Nothing is known, because the question itself failed."""


@frozen
class Finding:
    """One line of an examination."""

    level: Level
    check: str
    what: str
    to_do: str = ""

    @property
    def is_bad(self) -> bool:
        """Return True for a problem, and for a question that failed."""
        return self.level in {Level.PROBLEM, Level.NOT_ASKED}
