"""Recognize what the original CloudQ 1.x left behind; never read or change it."""

from __future__ import annotations

import re
from pathlib import Path

_PLACES = (Path("client") / "config.ini", Path("agent") / "config.ini", Path("aws"))
_KEY = r"[0-9a-f]{8}/manifest\.json"


def find_original(home: Path) -> tuple[Path, ...]:
    """Return the files and directories of the original's configuration under *home*."""
    return tuple(home / place for place in _PLACES if _exists(home / place))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a place without access is not reported
        return False


def is_original_key(key: str) -> bool:
    """Return whether *key* is that of a job of the original; jobs of this cloudq are below ``jobs/``."""
    return re.fullmatch(_KEY, key) is not None
