"""Read the names in `docs/architecture.md`: packages, functions, and the functions of each walk in order."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
SUBMIT = "From the script to the bucket"
HAND_OVER = "From the agent's cycle to the scheduler"
RECORD = "From the scheduler's answer to the recorded state"
WALKS = (SUBMIT, HAND_OVER, RECORD)


def names_in(text: str) -> list[str]:
    """Return the dotted names below `cloudq` in *text*, in order."""
    return re.findall(r"\bcloudq(?:\.\w+)+", text)


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def steps_of(walk: str) -> list[str]:
    """Return the names in the numbered list of the section *walk*."""
    _, _, rest = page().partition(f"\n## {walk}\n")
    section = rest.partition("\n## ")[0]
    return names_in("".join(re.findall(r"^[0-9]+\. .*\n(?:    ?.*\n)*", section, re.MULTILINE)))
