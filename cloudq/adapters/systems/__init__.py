"""The profiles that come with cloudq, and what a site says otherwise, read from TOML."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from cloudq.domain.errors import ConfigProblem
from cloudq.domain.system_profile import SystemProfile

_SECONDS = frozenset({"poll_interval", "query_limit", "submit_wait", "submit_limit"})
_MOST_S = 86_400


def load_profile(name: str, own: Path) -> SystemProfile:
    """The profile *name*; a file of that name in the directory *own* may change its seconds.

    Raises `ConfigProblem` for a profile that does not exist and for everything wrong in such a file.
    """
    shipped = files(__package__) / f"{name}.toml"
    if not shipped.is_file():
        raise ConfigProblem(f"profile {name!r}: there is no {name}.toml")
    told = tomllib.loads(shipped.read_text(encoding="utf-8"))
    path = own / f"{name}.toml"
    return SystemProfile(name=name, **(told | _read_own(path) if path.is_file() else told))


def _read_own(path: Path) -> dict[str, Any]:
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigProblem(f"{path}: {error}") from error
    problems = [
        f"{path}: {key}: {problem}" for key, value in told.items() if (problem := _problem(key, value))
    ]
    if problems:
        raise ConfigProblem(problems)
    return told


def _problem(key: str, value: object) -> str:
    if key not in _SECONDS:
        return f"no such key, only {', '.join(sorted(_SECONDS))}"
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MOST_S:
        return f"{value!r} is not a number of seconds above 0"
    return ""
