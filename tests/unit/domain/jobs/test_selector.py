"""Selectors: how conditions are read, and which jobs meet them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.selector import EVERY_JOB, Selector, read_span
from cloudq.domain.jobs.summary import ActiveJob
from tests.builders import JOB_ID, NOON


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine nine hours ahead of UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def a_line(**fields: Any) -> ActiveJob:
    return ActiveJob(**{"job_id": JOB_ID, "name": "train.sh", "state": JobState.RUN, **fields})


def test_nothing_typed_selects_every_job() -> None:
    assert Selector.parse() == EVERY_JOB
    assert EVERY_JOB.selects_all
    assert EVERY_JOB.accepts(a_line())


def test_all_labels_must_be_there() -> None:
    selector = Selector.parse(labels=["a=1", "b=2"])

    assert selector.accepts(a_line(labels=("a=1", "b=2", "c=3")))
    assert not selector.accepts(a_line(labels=("a=1",)))
    assert not selector.accepts(a_line(labels=("a=1", "b=3")))


def test_one_of_the_states_must_be_there() -> None:
    selector = Selector.parse(states=["run,Ready", "INIT"])

    assert selector.states == {JobState.RUN, JobState.READY, JobState.INIT}
    assert selector.accepts(a_line())
    assert not selector.accepts(a_line(state=JobState.COMPLETING))


@pytest.mark.parametrize(
    ("pattern", "is_met"),
    [("train.sh", True), ("train*", True), ("t?ain.[s]h", True), ("Train*", False), ("rain", False)],
)
def test_a_name_is_a_pattern(pattern: str, is_met: bool) -> None:
    assert Selector.parse(name=pattern).accepts(a_line()) is is_met


def test_a_finished_job_is_accepted_like_any_other() -> None:
    entry = HistoryEntry(JOB_ID, "train.sh", JobState.ERROR, "alpha", NOON, labels=("a=1",))

    assert Selector.parse(labels=["a=1"], states=["error"], name="t*").accepts(entry)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
    ],
)
def test_a_length_of_time_counts_back_from_now(text: str, ago: timedelta) -> None:
    assert Selector.parse(since=text).beginning(NOON) == NOON - ago


@pytest.mark.usefixtures("tokyo")
@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-01", datetime(2026, 10, 31, 15, tzinfo=UTC)),
        ("2026-11-01 12:00", datetime(2026, 11, 1, 3, tzinfo=UTC)),
        ("2026/11/01 12:00:30", datetime(2026, 11, 1, 3, 0, 30, tzinfo=UTC)),
        ("2026-11-01T12:00:00Z", datetime(2026, 11, 1, 12, tzinfo=UTC)),
    ],
)
def test_a_time_is_that_of_this_machine_unless_it_has_a_zone(text: str, utc: datetime) -> None:
    assert Selector.parse(since=text).beginning(NOON) == utc


def test_a_length_of_time_may_reach_beyond_the_calendar() -> None:
    assert Selector.parse(since="999999w").beginning(NOON) is None


def test_without_since_there_is_no_beginning() -> None:
    assert EVERY_JOB.beginning(NOON) is None


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(InvalidInput) as error:
        Selector.parse(labels=["x"], states=["BUSY"], system="Alpha", since="yesterday")
    assert [problem.split(":")[0] for problem in error.value.problems] == [
        "label 'x' has no '='",
        "'BUSY' is not a state",
        "'Alpha' is not a system name",
        "'yesterday' is not a time",
    ]


@given(st.text(max_size=20))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        selector = Selector.parse(since=text)
    except InvalidInput:
        return
    assert (selector.beginning(NOON) is None) is (text == "")


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("2h", 7200), (" 1d ", 86_400)])
def test_a_span_is_seconds_unless_it_has_a_unit(text: str, seconds: int) -> None:
    assert read_span(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "h", "-1", "1.5h", "2 hours", "٣", "1e3"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="length of time"):
        read_span(text)
