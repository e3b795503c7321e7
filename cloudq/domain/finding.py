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


class Remedy(Enum):
    """What cloudq itself offers against a finding; each program names it in its own words."""

    START_AGENT = "start an agent"
    REPLACE_AGENT = "start the agent, or requeue or cancel its jobs"
    READ_AGENT_LOG = "read the log of the agent of the subject"
    REQUEUE = "requeue the job that is the subject"
    DELETE = "delete jobs"
    COLLECT = "examine again, and collect what is incomplete or left over"


@frozen
class Finding:
    """One line of an examination."""

    level: Level
    check: str
    what: str
    to_do: str = ""
    remedy: Remedy | None = None
    subject: str = ""
    """The system or job to which the remedy applies; empty if it applies to none in particular."""

    @property
    def is_bad(self) -> bool:
        """Return True for a problem, and for a question that failed."""
        return self.level in {Level.PROBLEM, Level.NOT_ASKED}
