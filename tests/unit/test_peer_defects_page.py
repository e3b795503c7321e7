"""The page that holds cloudq against what the original was seen to do: every row has its test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "peer-defects.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`((?:tests|benchmarks)/[a-z_/]+\.py)(?:::(test_[a-z0-9_]+))?`")


def rows() -> list[list[str]]:
    """Defect, what happens in cloudq, what shows it; the tables of figures have other heads."""
    found, is_told_by_tests = [], False
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| "):
            is_told_by_tests = False
        elif cells[-1] == "shown by":
            is_told_by_tests = True
        elif is_told_by_tests and not cells[0].startswith("---"):
            found.append(cells)
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:50])
def test_every_row_names_tests_that_are_there(row: list[str]) -> None:
    named = NAMED.findall(row[-1])

    assert len(row) in {3, 4}
    assert named
    for file, name in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not name or re.search(rf"^ *def {name}\(", text, re.MULTILINE), name


def test_no_row_is_passed_over() -> None:
    assert (TEXT.count("| shown by |\n"), len(rows())) == (5, 36)


def test_no_test_is_named_in_another_form() -> None:
    """A name that the other test does not see would be checked by nobody."""
    assert len(re.findall(r"\btest_\w+`", TEXT)) == len([name for _, name in NAMED.findall(TEXT) if name])
