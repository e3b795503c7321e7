"""The jobs that a user means: by label, state, name, system or time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from attrs import frozen

from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.labels import checked_labels
from cloudq.domain.jobs.summary import ActiveJob
from cloudq.domain.names import checked_system
from cloudq.domain.problems import Problems

_SPAN = re.compile(r"([0-9]{1,6}) ?([smhdw]?)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_STATES = {state.value: state for state in JobState}


@frozen
class Selector:
    """Conditions that a job must all meet; without any, every job is selected.

    A job that has not ended meets *since* by the time of its submission, one that has ended by its end.
    """

    labels: tuple[str, ...] = ()
    states: frozenset[JobState] = frozenset()
    name: str = ""
    """A pattern with ``*``, ``?`` and ``[…]``; empty for any name."""
    system: str = ""
    since: timedelta | datetime | None = None
    """A length of time before now, or a time; without a time zone it is this machine's."""

    @classmethod
    def parse(
        cls,
        *,
        labels: Sequence[str] = (),
        states: Sequence[str] = (),
        name: str = "",
        system: str = "",
        since: str = "",
    ) -> Selector:
        """Read what a user typed; *states* may have commas. Raises `InvalidInput` with all problems."""
        problems = Problems()
        selector = cls(
            labels=problems.collect(checked_labels, labels) or (),
            states=problems.collect(_read_states, states) or frozenset(),
            name=name,
            system=(problems.collect(checked_system, system) or "") if system else "",
            since=problems.collect(_read_since, since) if since else None,
        )
        problems.raise_if_any()
        return selector

    @property
    def selects_all(self) -> bool:
        """Return whether there is no condition."""
        return self == EVERY_JOB

    def accepts(self, job: ActiveJob | HistoryEntry) -> bool:
        """Return whether *job* has the labels, the state and the name."""
        return (
            set(self.labels) <= set(job.labels)
            and (not self.states or job.state in self.states)
            and (not self.name or fnmatchcase(job.name, self.name))
        )

    def accepts_ended(self, entry: HistoryEntry) -> bool:
        """Return whether the entry also has the system; *since* is compared by the caller."""
        return self.accepts(entry) and self.system in {"", entry.system}

    def beginning(self, now: datetime) -> datetime | None:
        """Return the time before which no job is selected, UTC; None if there is no such time."""
        if isinstance(self.since, timedelta):
            try:
                return now - self.since
            except OverflowError:  # before the first year of the calendar
                return None
        return None if self.since is None else self.since.astimezone(UTC)


EVERY_JOB = Selector()


def _read_states(texts: Sequence[str]) -> frozenset[JobState]:
    names = [part.strip().upper() for text in texts for part in text.split(",")]
    unknown = [name for name in names if name not in _STATES]
    if unknown:
        raise InvalidInput(
            [f"{name!r} is not a state: the states are {', '.join(_STATES)}" for name in unknown]
        )
    return frozenset(_STATES[name] for name in names)


def read_span(text: str) -> timedelta:
    """Return a length of time: a number of seconds, or a number with s, m, h, d or w."""
    span = _SPAN.fullmatch(text.strip())
    if span is None:
        raise InvalidInput(f"{text!r} is not a length of time: write 90, 90s, 30m, 2h, 3d or 1w")
    return timedelta(**{_UNITS[span[2] or "s"]: int(span[1])})


def _read_since(text: str) -> timedelta | datetime:
    """Return ``2h`` as a length of time, ``2026-11-01`` and ``2026/11/01 12:00:00`` as times."""
    if _SPAN.fullmatch(text.strip()) and not text.strip().isdecimal():
        return read_span(text)
    try:
        time = datetime.fromisoformat(text.strip().replace("/", "-"))
        time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{text!r} is not a time: write 30m, 2h, 3d or 1w for a time before now, "
            "or 2026-11-01 or '2026-11-01 12:00'"
        ) from error
    return time
