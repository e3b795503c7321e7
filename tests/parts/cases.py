"""Read the original files of field reports."""

from __future__ import annotations

from pathlib import Path

CASES = Path(__file__).parents[1] / "cases"


def case(number: str, name: str) -> str:
    """Return the text of a file of case *number*."""
    return (CASES / number / name).read_text(encoding="utf-8")
