"""The page that compares cloudq with the original's interface: every row has its test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "seed-coverage.md"
TEST = r"`(tests/[a-z_/]+\.py)::(?:Test[A-Za-z]+::)?(test_[a-z0-9_]+)`"


def rows() -> list[tuple[str, str]]:
    """Return each feature of the original with the proof that the page names."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        for line in lines
        if line.startswith("| ")
    ]
    return [(row[0], row[-1]) for row in cells if row[0] != "original" and not row[0].startswith("---")]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:50])
def test_every_row_names_tests_that_are_there(row: tuple[str, str]) -> None:
    shown_by = row[1]
    tests = re.findall(TEST, shown_by)

    assert tests or shown_by.startswith("not kept: ")
    for file, name in tests:
        assert re.search(rf"^ *def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), name


def test_no_test_is_named_in_another_form() -> None:
    """No test would check a name that the pattern of the other test misses."""
    text = PAGE.read_text(encoding="utf-8")

    assert len(re.findall(r"test_\w+`", text)) == len(re.findall(TEST, text))


def test_the_readme_names_the_paper_and_the_original() -> None:
    """The authors of the original and its license ask for this."""
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())

    assert '"CloudQ: A Secure AI / HPC Cloud Bursting System," 9th International Workshop' in readme
    assert "Apache-2.0, Copyright 2022 National Institute of Advanced Industrial Science" in readme


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target
