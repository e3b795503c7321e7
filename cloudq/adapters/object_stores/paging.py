"""Pages of a LIST from sorted keys: S3 makes them itself, other stores must make the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from cloudq.ports.object_store import ListedObject, ListPage

MAX_PAGE = 1000
"""S3 returns no more at a time, whatever limit is requested."""


def page_of(
    keys: Iterable[str],
    describe: Callable[[str], ListedObject | None],
    *,
    prefix: str,
    delimiter: str,
    limit: int,
    date: datetime,
) -> ListPage:
    """Return up to *limit* of *keys*, which are sorted and begin with *prefix*, rolled up at the delimiter.

    *describe* returns None for an object that no longer exists.
    """
    limit = min(limit, MAX_PAGE)
    objects: list[ListedObject] = []
    prefixes: list[str] = []
    for key in keys:
        if len(objects) + len(prefixes) >= limit:
            break
        rolled_up = common_prefix(key, prefix, delimiter)
        if rolled_up:
            if prefixes[-1:] != [rolled_up]:
                prefixes.append(rolled_up)
        elif (listed := describe(key)) is not None:
            objects.append(listed)
    return ListPage(tuple(objects), tuple(prefixes), date, limit)


def common_prefix(key: str, prefix: str, delimiter: str) -> str:
    """Return *key* up to the first delimiter after *prefix*; empty if it is not rolled up."""
    end = key.find(delimiter, len(prefix)) if delimiter else -1
    return "" if end < 0 else key[: end + len(delimiter)]
