"""The check of a store in heartbeats, as agents of this release and older ones read it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.stores.store_check import StoreCheck
from tests.builders import NOON


@given(st.datetimes(timezones=st.just(UTC)), st.text(max_size=50))
def test_what_was_written_is_read_back(time: datetime, flaws: str) -> None:
    assert StoreCheck.parse(str(StoreCheck(time, flaws))) == StoreCheck(time, flaws)


def test_a_beat_of_an_older_release_tells_of_a_fit_store() -> None:
    check = StoreCheck.parse(NOON.isoformat())

    assert check == StoreCheck(NOON)
    assert check is not None
    assert not check.is_weak


def test_an_older_agent_takes_a_weak_store_for_one_that_was_never_checked() -> None:
    """An older agent reads only a plain time; so it makes its own check, and rejects the store."""
    with pytest.raises(ValueError, match="Invalid isoformat"):
        datetime.fromisoformat(str(StoreCheck(NOON, "8 won")))


@given(st.text(max_size=60))
def test_any_other_text_is_no_check_or_one_that_says_when(text: str) -> None:
    check = StoreCheck.parse(text)

    assert check is None or isinstance(check.time, datetime)


@pytest.mark.parametrize("text", ["", "fit", f"{NOON.isoformat()} strong: 1 won", "weak: 8 won"])
def test_these_are_no_checks(text: str) -> None:
    assert StoreCheck.parse(text) is None


def test_a_store_without_a_reason_is_weak_all_the_same() -> None:
    check = StoreCheck.parse(f"{NOON.isoformat()} weak")

    assert check is not None
    assert check.is_weak


@pytest.mark.parametrize(
    ("hours", "is_recent"), [(0, True), (-23, True), (-24, False), (24, True), (25, False)]
)
def test_a_check_lasts_a_day(hours: int, is_recent: bool) -> None:
    assert StoreCheck(NOON + timedelta(hours=hours)).is_recent(NOON) is is_recent


def test_a_check_whose_time_has_no_zone_is_made_again() -> None:
    assert not StoreCheck(NOON.replace(tzinfo=None)).is_recent(NOON)
