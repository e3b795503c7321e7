"""The page with the results of the original's tables: its rows are those that are tested."""

from __future__ import annotations

import re
from pathlib import Path

from tests.integration.test_seed_tables import ROWS, SYSTEMS
from tests.parts.meta_sites import KINDS

PAGE = Path(__file__).parents[3] / "docs" / "seed-tables.md"
CELLS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| ---")
]
HEAD = ["row", "Slurm", "Grid Engine", "local", "PBS (stand-ins only)"]


def test_the_page_has_the_rows_that_are_tested_in_their_order() -> None:
    rows = [row[0] for row in CELLS if row != HEAD]

    assert rows == [f"`{name}`" for name in ROWS]


def test_the_page_has_the_systems_that_are_tested() -> None:
    assert CELLS.count(HEAD) == 3
    assert [param.values[0] for param in SYSTEMS] == list(KINDS) == ["slurm", "gridengine", "local", "pbs"]


def test_every_cell_says_yes_or_what_is_otherwise() -> None:
    assert all(re.match(r"(yes|ignored)\b", cell) for row in CELLS if row != HEAD for cell in row[1:])
