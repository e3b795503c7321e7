"""The pages whose rows are shown by tests: every named test exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXTS = {
    page: (ROOT / "docs" / page).read_text(encoding="utf-8")
    for page in ("peer-defects.md", "field-reports.md")
}
NAMED = re.compile(r"`((?:tests|benchmarks)/[a-z0-9_/]+\.py)(?:::\w+)??(?:::(test_\w+))?`")


def rows(text: str) -> list[list[str]]:
    """Return the cells of each row in tables with the column "shown by"; other tables are skipped."""
    found, is_shown_by_tests = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        if not line.startswith("| "):
            is_shown_by_tests = False
        elif cells[-1] == "shown by":
            is_shown_by_tests = True
        elif is_shown_by_tests and not cells[0].startswith("---"):
            found.append(cells)
    return found


EVERY_ROW = [row for text in TEXTS.values() for row in rows(text)]


@pytest.mark.parametrize("row", EVERY_ROW, ids=lambda row: row[0][:50])
def test_every_row_names_tests_that_are_there(row: list[str]) -> None:
    named = NAMED.findall(row[-1])

    assert len(row) in {3, 4}
    assert named
    for file, name in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not name or re.search(rf"^ *def {name}\(", text, re.MULTILINE), name


def test_no_row_of_what_the_original_did_is_passed_over() -> None:
    text = TEXTS["peer-defects.md"]

    assert (text.count("| shown by |\n"), len(rows(text))) == (5, 36)


def test_no_row_of_the_field_reports_is_passed_over() -> None:
    text = TEXTS["field-reports.md"]
    lines = [line for line in text.splitlines() if line.startswith("| ") and "situation |" not in line]

    assert len(rows(text)) == len([line for line in lines if not line.startswith("| ---")])


@pytest.mark.parametrize("page", TEXTS)
def test_no_test_is_named_in_another_form(page: str) -> None:
    """No test would check a name that the pattern of the other test misses."""
    text = TEXTS[page]

    assert len(re.findall(r"\btest_\w+`", text)) == len([name for _, name in NAMED.findall(text) if name])
