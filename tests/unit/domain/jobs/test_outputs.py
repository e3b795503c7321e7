"""Patterns of output files."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.outputs import OutputFilter, checked_patterns

parts = st.sampled_from(["a", "b", "*", "a*", "?", "**", "[ab]"])
names = st.lists(st.sampled_from(["a", "b", "ab", "c"]), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("result.csv", ["result.csv"], ["result.csv.old", "a/result.csv"]),
        ("*.csv", ["a.csv", ".csv"], ["a/b.csv", "a.txt"]),
        ("**/*.csv", ["a.csv", "a/b.csv", "a/b/c.csv"], ["a.txt", "a/b.txt"]),
        ("results", ["results", "results/a", "results/a/b"], ["results2", "a/results"]),
        ("results/", ["results/a"], ["result"]),
        ("./a/**/z", ["a/z", "a/b/z", "a/b/c/z/deep"], ["z", "a/b"]),
        ("run?/[ab]", ["run1/a", "run2/b"], ["run/a", "run12/a", "run1/c"]),
        ("**", ["a", "a/b"], []),
        ("a/**", ["a/b", "a/b/c"], ["b"]),
        ("A", ["A"], ["a"]),
    ],
)
def test_a_pattern_matches_parts_of_paths(pattern: str, matching: list[str], others: list[str]) -> None:
    is_wanted = OutputFilter((pattern,))

    assert [path for path in matching if not is_wanted(path)] == []
    assert [path for path in others if is_wanted(path)] == []


def test_without_patterns_everything_is_wanted() -> None:
    assert OutputFilter()("any/thing")


@given(st.lists(parts, min_size=1, max_size=5), names)
def test_patterns_match_as_regular_expressions_do(pattern: list[str], path: list[str]) -> None:
    pieces = {"*": "[^/]*", "a*": "a[^/]*", "?": "[^/]", "[ab]": "[ab]"}
    text = "".join("(?:[^/]+/)*" if part == "**" else pieces.get(part, part) + "/" for part in pattern)

    expected = re.match(text, "/".join(path) + "/") is not None

    assert OutputFilter(("/".join(pattern),))("/".join(path)) == expected


def test_no_pattern_takes_long() -> None:
    is_wanted = OutputFilter(("/".join(["**", "*a*b"] * 100), "*a" * 100 + "b"))
    began = time.process_time()

    assert not is_wanted("/".join(["a" * 200] * 20))
    assert time.process_time() - began < 1


def test_patterns_that_leave_the_work_directory_are_refused() -> None:
    with pytest.raises(InvalidInput) as error:
        checked_patterns(["/etc/passwd", "../x", "a/../../x", "", "bad\x1b", "fine"])

    assert len(error.value.problems) == 5


def test_repeated_patterns_count_once() -> None:
    assert checked_patterns(["a", "b", "a"]) == ("a", "b")
