"""Patterns that choose files of a job."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.domain.jobs.wanted_files import ALL_FILES, WantedFiles


@pytest.mark.parametrize(
    ("pattern", "path", "is_wanted"),
    [
        ("*.csv", "output/a.csv", True),
        ("*.csv", "output/deep/a.csv", True),
        ("*.csv", "input/a.csv", True),
        ("*.csv", "output/a.txt", False),
        ("stdout*", "stdout.3", True),
        ("stdout*", "stderr.3", False),
        ("output/*", "output/deep/a.csv", True),
        ("output/*", "input/a.csv", False),
        ("deep/a.csv", "output/deep/a.csv", True),
        ("deep/a.csv", "input/deep/a.csv", False),
        ("a[1].txt", "output/a[1].txt", True),
        ("*.CSV", "output/a.csv", False),
    ],
)
def test_a_pattern_matches_names_or_whole_paths(pattern: str, path: str, is_wanted: bool) -> None:
    assert WantedFiles((pattern,)).has(path) is is_wanted


def test_without_a_pattern_everything_is_wanted() -> None:
    assert ALL_FILES.has("output/x")
    assert ALL_FILES.may_have_some_in("input")


def test_an_archive_is_skipped_if_no_pattern_can_match_in_it() -> None:
    assert not WantedFiles(("output/*.csv",)).may_have_some_in("input")
    assert WantedFiles(("output/*.csv", "input/x")).may_have_some_in("input")


PART = st.text(alphabet="inputo*?[]a", min_size=1, max_size=6)


@given(
    st.builds("/".join, st.lists(PART, min_size=1, max_size=3)), st.sampled_from(["input", "output"]), PART
)
def test_no_wanted_file_is_in_a_skipped_archive(pattern: str, directory: str, name: str) -> None:
    wanted = WantedFiles((pattern,))

    assert not wanted.has(f"{directory}/{name}") or wanted.may_have_some_in(directory)
