"""The files of field reports, as they came."""

from __future__ import annotations

from pathlib import Path

CASES = Path(__file__).parents[1] / "cases"


def case(number: str, name: str) -> str:
    """The text of a file of case *number*."""
    return (CASES / number / name).read_text(encoding="utf-8")
