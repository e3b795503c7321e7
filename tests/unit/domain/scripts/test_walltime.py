"""Walltimes: seconds with a unit, never a bare number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.errors import InvalidInput
from cloudq.domain.scripts.walltime import MAX_SECONDS, Walltime


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1:00:00", 3_600),
        ("0:00:01", 1),
        ("100:00:00", 360_000),
        ("1-12:00:00", 129_600),
        ("1-12:30:15", 131_415),
        ("90m", 5_400),
        ("2H", 7_200),
        ("45 s", 45),
        ("1d", 86_400),
    ],
)
def test_a_walltime_with_a_unit_is_so_many_seconds(text: str, seconds: int) -> None:
    assert Walltime.parse(text) == Walltime(seconds)


@pytest.mark.parametrize(
    "text",
    ["60", "10:30", "1-12:00", "", "1:60:00", "1:00:60", "1h30m", "-1h", "1:0:0:0", "1.5h", "10ſ", "h"],
)
def test_a_walltime_that_two_schedulers_would_read_differently_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="no clear unit"):
        Walltime.parse(text)


def test_no_time_at_all_is_refused() -> None:
    with pytest.raises(InvalidInput, match="must be more than 0"):
        Walltime.parse("0:00:00")


@pytest.mark.parametrize("text", ["10000d", "999999999h", "9999-999999:00:00"])
def test_more_time_than_any_site_grants_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="longer than 9999 days"):
        Walltime.parse(text)


@given(st.integers(1, MAX_SECONDS))
def test_a_walltime_reads_back_as_it_was_written(seconds: int) -> None:
    assert Walltime.parse(str(Walltime(seconds))) == Walltime(seconds)


@given(st.text(alphabet="0123456789:-smhdſ ", max_size=20))
def test_no_text_leads_to_anything_but_a_walltime_or_a_refusal(text: str) -> None:
    try:
        walltime = Walltime.parse(text)
    except InvalidInput:
        return

    assert 1 <= walltime.seconds <= MAX_SECONDS
