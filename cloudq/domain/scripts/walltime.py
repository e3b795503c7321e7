"""The walltime of a job: a value with a unit, which each scheduler gets in its own form."""

from __future__ import annotations

import re

from attrs import frozen

from cloudq.domain.errors import InvalidInput

MAX_SECONDS = 9_999 * 86_400
"""More than any site grants, with few enough digits for every scheduler."""

_CLOCK = re.compile(r"(?:([0-9]{1,4})-)?([0-9]{1,6}):([0-9]{1,2})(?::([0-9]{1,2}))?")
_UNIT = re.compile(r"([0-9]{1,9}) *([smhdSMHD])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@frozen(order=True)
class Walltime:
    """A time limit in whole seconds, at least one."""

    seconds: int

    @classmethod
    def parse(cls, text: str) -> Walltime:
        """Parse ``1:00:00``, ``1-12:00:00``, ``90m``, ``45s``; raise `InvalidInput` otherwise.

        A bare number is rejected, because it means seconds to Grid Engine and minutes to Slurm. So is
        ``10:30``, which means minutes and seconds to one scheduler, and hours and minutes to another.
        """
        stripped = text.strip()
        seconds = _from_unit(stripped)
        if seconds is None:
            seconds = _from_clock(stripped)
        if seconds is None:
            raise InvalidInput(
                f"walltime {text!r} has no clear unit: write it as 1:00:00, 1-12:00:00, 90m, 2h or 45s"
            )
        if seconds < 1:
            raise InvalidInput(f"walltime {text!r} must be more than 0")
        if seconds > MAX_SECONDS:
            raise InvalidInput(f"walltime {text!r} is longer than {MAX_SECONDS // 86_400} days")
        return cls(seconds)

    def __str__(self) -> str:
        minutes, seconds = divmod(self.seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}"


def _from_unit(text: str) -> int | None:
    match = _UNIT.fullmatch(text)
    return None if match is None else int(match[1]) * _SECONDS[match[2].lower()]


def _from_clock(text: str) -> int | None:
    match = _CLOCK.fullmatch(text)
    if match is None or match[4] is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    if minutes > 59 or seconds > 59:
        return None
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
