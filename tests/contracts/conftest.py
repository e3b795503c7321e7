"""Provide the stores, with an adjustable clock, on which everything that uses a store is tested."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from attrs import define

from cloudq.domain.errors import StoreRefused
from cloudq.testing.memory_store import MemoryStore
from tests.builders import NOON
from tests.parts.counting_store import CountingStore
from tests.parts.dict_store import DictStore
from tests.parts.serial_ids import SerialIds


@define
class StoreTime:
    """The store's clock."""

    time: datetime = NOON

    def now(self) -> datetime:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def store_time() -> StoreTime:
    return StoreTime()


@pytest.fixture(params=[DictStore, MemoryStore])
def store(store_time: StoreTime, request: pytest.FixtureRequest) -> CountingStore:
    """An empty store that counts requests.

    The dictionary accepts any key, as S3 does; the store in memory refuses keys that a directory cannot
    hold.
    """
    return CountingStore(request.param(store_time.now))


def put_foreign(store: CountingStore, *keys: str) -> None:
    """Put objects that are not cloudq's, if the store accepts such keys."""
    for key in keys:
        with suppress(StoreRefused):
            store.put(key, b"foreign")


@pytest.fixture
def ids() -> SerialIds:
    return SerialIds()
