"""Array ranges: what users may write; no task is ever lost or named twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.errors import InvalidInput
from cloudq.domain.scripts.array_range import MAX_TASKS, ArrayRange, TaskSpan

ids = st.sets(st.integers(1, 3_000), min_size=1, max_size=200)


@st.composite
def simple_ranges(draw: st.DrawFn) -> tuple[int, int, int]:
    first = draw(st.integers(1, 5_000))
    return first, first + draw(st.integers(0, 5_000)), draw(st.integers(1, 6_000))


@pytest.mark.parametrize(
    ("text", "tasks"),
    [
        ("1-4", [1, 2, 3, 4]),
        ("1-4:1", [1, 2, 3, 4]),
        ("1-10:3", [1, 4, 7, 10]),
        ("2-9:3", [2, 5, 8]),
        ("7", [7]),
        (" 1,3, 7-9 ", [1, 3, 7, 8, 9]),
        ("9,1", [9, 1]),
    ],
)
def test_a_range_holds_the_tasks_a_user_means(text: str, tasks: list[int]) -> None:
    assert list(ArrayRange.parse(text)) == tasks


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("4-1", "1 comes before 4"),
        ("0-3", "task ids begin at 1"),
        ("0", "task ids begin at 1"),
        ("1-4:0", "step must be 1 or more"),
        ("1-99999999", f"more than {MAX_TASKS} tasks"),
        ("1-3,2-4", "names a task twice"),
        ("", "is not FIRST-LAST"),
        ("1-", "is not FIRST-LAST"),
        ("1:2", "is not FIRST-LAST"),
        ("-1-4", "is not FIRST-LAST"),
        ("1-4:", "is not FIRST-LAST"),
        ("1,,2", "is not FIRST-LAST"),
        ("a-b", "is not FIRST-LAST"),
        ("1.5", "is not FIRST-LAST"),
        ("١-٣", "is not FIRST-LAST"),
        ("1" * 5_000, "is not FIRST-LAST"),
        ("1-4%", "number of tasks that may run at once"),
        ("1-4%0", "number of tasks that may run at once"),
        ("1-4%-2", "number of tasks that may run at once"),
        ("1-4%2%3", "number of tasks that may run at once"),
        ("1-4%" + "9" * 5_000, "number of tasks that may run at once"),
    ],
)
def test_a_bad_range_is_refused_with_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        ArrayRange.parse(text)


@given(st.text(alphabet="0123456789-:,% ", max_size=30))
def test_no_text_leads_to_anything_but_a_range_or_a_refusal(text: str) -> None:
    try:
        array = ArrayRange.parse(text)
    except InvalidInput:
        return
    tasks = list(array)

    assert len(array) == len(tasks) == len(set(tasks))
    assert (array.first, array.last) == (min(tasks), max(tasks))


@given(simple_ranges())
def test_a_simple_range_is_what_python_counts(parts: tuple[int, int, int]) -> None:
    first, last, step = parts
    array = ArrayRange.parse(f"{first}-{last}:{step}")

    assert list(array) == list(range(first, last + 1, step))
    assert len(array) == len(list(array))
    assert array.is_simple


@given(simple_ranges(), st.none() | st.integers(1, 99))
def test_a_range_reads_back_as_it_was_written(parts: tuple[int, int, int], limit: int | None) -> None:
    first, last, step = parts
    array = ArrayRange.parse(f"{first}-{last}:{step}" + ("" if limit is None else f"%{limit}"))

    assert ArrayRange.parse(str(array)) == array
    assert array.max_running == limit


@given(ids)
def test_covering_holds_exactly_the_ids_it_was_given(wanted: set[int]) -> None:
    array = ArrayRange.covering(wanted)

    assert list(array) == sorted(wanted)
    assert len(array) == len(wanted)
    assert ArrayRange.parse(str(array)) == array


def test_ten_thousand_alike_tasks_stay_one_span() -> None:
    assert str(ArrayRange.covering(range(1, 10_001))) == "1-10000:1"


def test_a_step_beyond_the_end_leaves_one_task_without_a_step() -> None:
    assert ArrayRange.parse("3-5:9") == ArrayRange((TaskSpan(3, 3),))


@pytest.mark.parametrize(
    ("text", "step", "is_simple"),
    [("1-9:2", 2, True), ("1-3,7", 1, False), ("1-9:2%3", 2, False), ("5", 1, True)],
)
def test_only_one_plain_span_is_what_every_scheduler_takes(text: str, step: int, is_simple: bool) -> None:
    array = ArrayRange.parse(text)

    assert (array.step, array.is_simple) == (step, is_simple)
