"""Provide a store with very many objects that take no memory: they are created when they are listed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import count, islice

from attrs import define, field

from cloudq.ports.object_store import MAX_CONTROL_BYTES, ListedObject, ListPage, StoredObject
from tests.parts.dict_store import DictStore


@define
class FloodedStore(DictStore):
    """A `DictStore` that seems to contain *total* more objects, whose keys *key_of* gives in order."""

    total: int = 0
    key_of: Callable[[int], str] = str
    body: bytes | None = None
    """The content of each of their manifests; None: the manifests are absent."""
    gone: set[str] = field(factory=set)
    lists: int = 0
    gets: int = 0

    def get(self, key: str, *, max_bytes: int = MAX_CONTROL_BYTES) -> StoredObject:
        self.gets += 1
        if key not in self.objects and self.body is not None and key.startswith("jobs/0"):
            return StoredObject(key, self.body, "e", self.now(), self.now())
        return DictStore.get(self, key, max_bytes=max_bytes)

    def list_page(
        self, prefix: str, *, start_after: str = "", delimiter: str = "", limit: int = 1000
    ) -> ListPage:
        self.lists += 1
        real = DictStore.list_page(self, prefix, start_after=start_after, delimiter=delimiter, limit=limit)
        if not self.total or not self.key_of(0).startswith(prefix):
            return real
        made = (self.key_of(n) for n in count(self._first_after(start_after)))
        flood = islice((key for key in made if key not in self.gone), limit)
        listed = [ListedObject(key, 0, self.now()) for key in flood if key <= self.key_of(self.total - 1)]
        objects = sorted([*real.objects, *listed], key=lambda each: each.key)[:limit]
        return ListPage(tuple(objects), real.prefixes, self.now(), limit)

    def delete(self, keys: Sequence[str]) -> None:
        DictStore.delete(self, keys)
        self.gone.update(key for key in keys if self.total and key.startswith(self.key_of(0)[:9]))

    def _first_after(self, start_after: str) -> int:
        return bisect_right(range(self.total), start_after, key=self.key_of)
