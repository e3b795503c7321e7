"""What a LIST answers, from keys in order: the part that S3 does itself and others must do like it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from cloudq.ports.object_store import ListedObject, ListPage

MAX_PAGE = 1000
"""S3 gives no more at a time, whatever is asked for."""


def page_of(
    keys: Iterable[str],
    describe: Callable[[str], ListedObject | None],
    *,
    prefix: str,
    delimiter: str,
    limit: int,
    date: datetime,
) -> ListPage:
    """Up to *limit* of *keys*, which come in order and begin with *prefix*, rolled up at the delimiter.

    *describe* returns None for an object that vanished meanwhile.
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
    """What *key* is rolled up to, or nothing: up to the first delimiter after *prefix*."""
    end = key.find(delimiter, len(prefix)) if delimiter else -1
    return "" if end < 0 else key[: end + len(delimiter)]
