"""`docs/glossary.md`: sorted, each term once, and no name of a record that the code does not know."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")][2:]
TERMS = [row[0] for row in ROWS]


def names_in_records(meaning: str) -> list[str]:
    """Return the names behind "in the record"."""
    return re.findall(r"`(\w+)`", meaning.partition("in the record: ")[2])


def test_terms_are_sorted_and_unique() -> None:
    assert len(TERMS) > 50
    assert sorted(set(TERMS)) == TERMS


def test_every_term_has_a_meaning_on_one_line() -> None:
    assert [row for row in ROWS if len(row) != 2 or len(row[1]) < 10] == []


def test_every_section_that_a_meaning_cites_exists() -> None:
    cited = {
        number
        for row in ROWS
        for group in re.findall(r"\(([0-9., ]+)\)", row[1])
        for number in group.split(", ")
    }
    protocol = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    sections = set(re.findall(r'<a id="([0-9.]+)">', protocol)) | set(
        re.findall(r"^## ([0-9]+)\.", protocol, re.MULTILINE)
    )

    assert len(cited) > 20
    assert cited - sections == set()


def test_every_name_that_a_record_has_is_in_the_code() -> None:
    code = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "cloudq").rglob("*.py"))
    names = {name for _, meaning in ROWS for name in names_in_records(meaning)}

    assert names >= {"uuid", "local_id"}
    assert names - set(re.findall(r"\w+", code)) == set()
