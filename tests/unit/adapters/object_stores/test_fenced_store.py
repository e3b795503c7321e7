"""A store that rejects writes once the writer may no longer act."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cloudq.adapters.object_stores.wrappers.fenced import FencedStore
from cloudq.domain.errors import LeaseLost
from cloudq.testing.fake_clock import FakeClock
from cloudq.testing.memory_store import MemoryStore

WRITES: dict[str, Callable[[FencedStore, Path], object]] = {
    "put": lambda store, _: store.put("key", b"2"),
    "put_if_absent": lambda store, _: store.put_if_absent("new", b"2"),
    "put_if_match": lambda store, _: store.put_if_match("key", b"2", store.get("key").etag),
    "delete": lambda store, _: store.delete(["key"]),
    "upload": lambda store, file: store.upload("key", file),
}


@pytest.mark.parametrize("write", WRITES)
def test_nothing_is_written_behind_a_lost_lease(write: str, tmp_path: Path) -> None:
    inner = MemoryStore(FakeClock().now)
    inner.put("key", b"1")
    (tmp_path / "file").write_bytes(b"2")
    before = dict(inner.snapshot())

    with pytest.raises(LeaseLost):
        WRITES[write](FencedStore(inner, lambda: False), tmp_path / "file")

    assert dict(inner.snapshot()) == before


def test_reading_goes_on_behind_a_lost_lease(tmp_path: Path) -> None:
    inner = MemoryStore(FakeClock().now)
    inner.put("key", b"1")
    store = FencedStore(inner, lambda: False)

    store.download("key", tmp_path / "copy")

    assert store.get("key").body == b"".join(store.read("key")) == (tmp_path / "copy").read_bytes() == b"1"
    assert [listed.key for listed in store.list_page("").objects] == ["key"]
