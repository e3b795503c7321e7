"""The task ids of an array job, as users write them: ``1-4``, ``1-10:2``, ``1,3,7-9``, ``1-100%8``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from attrs import frozen

from cloudq.domain.errors import InvalidInput

MAX_TASKS = 75_000
"""The most tasks that one array may have: Grid Engine's default and ABCI's limit."""

_SPAN = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([0-9]{1,9}))?)?")
_LIMIT = re.compile(r"[0-9]{1,9}")


@frozen
class TaskSpan:
    """The ids *first*, *first* + *step*, … up to *last*, which is one of them."""

    first: int
    last: int
    step: int = 1

    def __str__(self) -> str:
        if self.first == self.last:
            return str(self.first)
        return f"{self.first}-{self.last}:{self.step}"

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last + 1, self.step))

    def __len__(self) -> int:
        return (self.last - self.first) // self.step + 1


@frozen
class ArrayRange:
    """The tasks of an array job, and how many of them may run at once (None: any number)."""

    spans: tuple[TaskSpan, ...]
    max_running: int | None = None

    @classmethod
    def parse(cls, text: str, *, lowest: int = 1) -> ArrayRange:
        """Parse a user's range; raise `InvalidInput` that describes the problem.

        Task 0 is possible only if a scheduler supports it and an option of that scheduler asked for it.
        """
        ids, percent, limit = text.strip().partition("%")
        max_running = _parse_limit(limit, text) if percent else None
        spans = tuple(_parse_span(part, text, lowest) for part in ids.split(","))
        if sum(len(span) for span in spans) > MAX_TASKS:
            raise InvalidInput(f"array range {text!r} has more than {MAX_TASKS} tasks")
        array = cls(spans, max_running)
        if len(set(array)) != len(array):
            raise InvalidInput(f"array range {text!r} names a task twice")
        return array

    @classmethod
    def count_of(cls, text: str) -> int:
        """Return the number of tasks that *text* names, with less work than `parse`; 0 if it is no range."""
        try:
            return sum(len(_parse_span(part, text, 0)) for part in text.partition("%")[0].split(","))
        except InvalidInput:
            return 0

    @classmethod
    def covering(cls, ids: Iterable[int]) -> ArrayRange:
        """Return a short list of spans with exactly *ids* (at least one), in ascending order."""
        return cls(tuple(_spans_of(sorted(set(ids)))))

    @property
    def is_simple(self) -> bool:
        """Return whether the range is one plain ``a-b:s``, which every scheduler accepts."""
        return len(self.spans) == 1 and self.max_running is None

    @property
    def first(self) -> int:
        """The lowest task id."""
        return min(span.first for span in self.spans)

    @property
    def last(self) -> int:
        """The highest task id."""
        return max(span.last for span in self.spans)

    @property
    def step(self) -> int:
        """The step of a simple range; 1 for a list."""
        return self.spans[0].step if len(self.spans) == 1 else 1

    def __iter__(self) -> Iterator[int]:
        for span in self.spans:
            yield from span

    def __len__(self) -> int:
        return sum(len(span) for span in self.spans)

    def __str__(self) -> str:
        limit = "" if self.max_running is None else f"%{self.max_running}"
        return ",".join(str(span) for span in self.spans) + limit


def _parse_limit(limit: str, whole: str) -> int:
    if _LIMIT.fullmatch(limit) is None or not 0 < int(limit) <= MAX_TASKS:
        raise InvalidInput(f"array range {whole!r}: after %, give the number of tasks that may run at once")
    return int(limit)


def _parse_span(part: str, whole: str, lowest: int) -> TaskSpan:
    match = _SPAN.fullmatch(part.strip())
    if match is None:
        raise InvalidInput(f"array range {whole!r}: {part!r} is not FIRST-LAST[:STEP], such as 1-4 or 1-10:2")
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    step = 1 if match[3] is None else int(match[3])
    if first < lowest:
        raise InvalidInput(f"array range {whole!r}: task ids begin at {lowest}")
    if last < first:
        raise InvalidInput(f"array range {whole!r}: {last} comes before {first}")
    if step < 1:
        raise InvalidInput(f"array range {whole!r}: the step must be 1 or more")
    reached = first + (last - first) // step * step
    return TaskSpan(first, reached, step if reached > first else 1)


def _spans_of(ids: list[int]) -> Iterator[TaskSpan]:
    start = 0
    while start < len(ids):
        end = start + 1
        step = ids[end] - ids[start] if end < len(ids) else 1
        while end < len(ids) and ids[end] - ids[end - 1] == step:
            end += 1
        if end - start == 2 and step > 1:
            end = start + 1
        yield TaskSpan(ids[start], ids[end - 1], step if end - start > 1 else 1)
        start = end
