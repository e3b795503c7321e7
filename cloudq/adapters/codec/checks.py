"""Checks of the fields of a record: each returns the value, or raises `Unfit` with the problem."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cloudq.adapters.codec.hostile_json import kind_of
from cloudq.domain.names import checked_file_name, checked_job_id, checked_local_job_id, checked_system
from cloudq.domain.scripts.array_range import MAX_TASKS

MAX_TEXT_CHARS = 200_000
"""More than the longest argument of a command line."""

MAX_RANGE_CHARS = 12 * MAX_TASKS
"""Enough for every task of the largest array, named one by one."""

MAX_ITEMS = 100_000
MAX_NUMBER = 10**18
EXIT_CODES = (-(2**31), 2**32 - 1)
"""The range of exit codes that any system could report, signed or unsigned."""

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")

_WORD = re.compile(r"[0-9A-Za-z-]{0,128}")

Check = Callable[[Any, Any], Any]
"""A function of a value and the type that cattrs passes, which most checks ignore."""


class Unfit(ValueError):
    """The error for a value that cloudq would not have written into a field."""


def text_up_to(limit: int) -> Check:
    """Return a check for text of at most *limit* characters."""

    def check(value: Any, _: Any = None) -> str:
        if not isinstance(value, str):
            raise Unfit(f"is {kind_of(value)}, not text")
        if len(value) > limit:
            raise Unfit(f"is longer than {limit} characters")
        return value

    return check


text = text_up_to(MAX_TEXT_CHARS)
short_text = text_up_to(1024)


def word_or_none(value: Any, _: Any = None) -> str:
    """Check a word that may become part of a line in a file; it may be empty."""
    if not isinstance(value, str) or _WORD.fullmatch(value) is None:
        raise Unfit("is not a word of letters, digits and hyphens")
    return value


def number_between(low: int, high: int) -> Check:
    """Return a check for a whole number from *low* to *high*."""

    def check(value: Any, _: Any = None) -> int:
        if type(value) is not int:
            raise Unfit(f"is {kind_of(value)}, not a whole number")
        if not low <= value <= high:
            raise Unfit(f"is not between {low} and {high}")
        return value

    return check


number = number_between(-MAX_NUMBER, MAX_NUMBER)
count = number_between(0, MAX_NUMBER)
exit_code = number_between(*EXIT_CODES)


def optional(check: Check) -> Check:
    """Return a check that accepts null and otherwise applies *check*."""

    def nullable(value: Any, kind: Any = None) -> Any:
        return None if value is None else check(value, kind)

    return nullable


def truth(value: Any, _: Any = None) -> bool:
    """Check a value that is true or false; a number such as 1 or 0 is rejected."""
    if not isinstance(value, bool):
        raise Unfit(f"is {kind_of(value)}, not true or false")
    return value


def seconds_between(low: float, high: float) -> Check:
    """Return a check for a time span in seconds; infinity and NaN never reach it."""

    def check(value: Any, _: Any = None) -> float:
        if type(value) not in {int, float}:
            raise Unfit(f"is {kind_of(value)}, not a number")
        if not low <= value <= high:
            raise Unfit(f"is not between {low:g} and {high:g}")
        return float(value)

    return check


def time(value: Any, _: Any = None) -> datetime:
    """Parse a time in UTC, such as ``2026-01-31T12:00:00.000Z``."""
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise Unfit("is not a time in UTC such as 2026-01-31T12:00:00.000Z")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except ValueError as error:
        raise Unfit(f"is not a time: {error}") from error


def time_text(value: datetime) -> str:
    """Return *value* as text in UTC, to the millisecond."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def name_checked_by(check: Callable[[str], str], *, may_be_empty: bool = False) -> Check:
    """Return a check for a name that will be part of a key, a path or a command."""

    def hook(value: Any, _: Any = None) -> str:
        checked = short_text(value, None)
        return str(checked) if may_be_empty and not checked else check(checked)

    return hook


job_id = name_checked_by(checked_job_id)
file_name = name_checked_by(checked_file_name)
system = name_checked_by(checked_system)
system_or_none = name_checked_by(checked_system, may_be_empty=True)
file_name_or_none = name_checked_by(checked_file_name, may_be_empty=True)
scheduler_job_id_or_none = name_checked_by(checked_local_job_id, may_be_empty=True)
