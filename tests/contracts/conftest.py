"""The store on which everything that stands on a store is tried, with a clock that tests move."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from attrs import define

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


@pytest.fixture
def store(store_time: StoreTime) -> CountingStore:
    """An empty store that counts requests."""
    return CountingStore(DictStore(store_time.now))


@pytest.fixture
def ids() -> SerialIds:
    return SerialIds()
