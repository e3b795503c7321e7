"""The profiles shipped with cloudq and a site's own profiles, read from TOML.

A site's own profiles are in a separate directory. One with the name of a shipped profile contains
only what differs from it; one with another name may build on any profile with ``extends``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from cloudq.adapters.systems.reading import Layer, read_profile
from cloudq.domain.errors import ConfigProblem
from cloudq.domain.scripts.system_profile import SystemProfile

MAX_FILE_BYTES = 1024 * 1024
EXTENDS = "extends"


def load_profile(name: str, own: Path) -> SystemProfile:
    """Load the profile *name*, from the directory *own* and the profiles shipped with cloudq.

    Raises `ConfigProblem` for a profile that does not exist, and for all problems in its files.
    """
    return read_profile(name, _layers(name, own, ()))


def has_profile(name: str, own: Path) -> bool:
    """Return whether there is a profile of this name."""
    return name in shipped_profiles() or _own_file(name, own).is_file()


def has_own_profile(name: str, own: Path) -> bool:
    """Return whether the site has a file of this name."""
    return _own_file(name, own).is_file()


@cache
def shipped_profiles() -> Mapping[str, str]:
    """Return the text of every profile shipped with cloudq, by name."""
    found = (file for file in files(__package__).iterdir() if file.name.endswith(".toml"))
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in found}


def _own_file(name: str, own: Path) -> Path:
    return own / f"{name}.toml"


def _layers(name: str, own: Path, seen: tuple[str, ...]) -> list[Layer]:
    """Return the files that make up the profile, the base first, each with its location."""
    path = _own_file(name, own)
    if name in seen or not path.is_file():
        return _shipped_layers(name, path)
    content = _read_own(path)
    base = content.pop(EXTENDS, name if name in shipped_profiles() else None)
    if base is None:
        return [(str(path), content)]
    if not isinstance(base, str) or not base or "/" in base:
        raise ConfigProblem(f"{path}: {EXTENDS}: {base!r} is not the name of a profile")
    if base in (*seen, name) and base not in shipped_profiles():
        raise ConfigProblem(f"{path}: {EXTENDS}: {base!r} itself extends this profile")
    return [*_layers(base, own, (*seen, name)), (str(path), content)]


def _shipped_layers(name: str, path: Path) -> list[Layer]:
    text = shipped_profiles().get(name)
    if text is None:
        known = ", ".join(sorted(shipped_profiles()))
        raise ConfigProblem(
            f"unknown profile {name!r}: {path} does not exist, and cloudq includes only: {known}"
        )
    content = tomllib.loads(text)
    base = content.pop(EXTENDS, None)
    return [*([] if base is None else _shipped_layers(base, path)), (f"{name}.toml", content)]


def _read_own(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigProblem(f"{path}: too large for a profile")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigProblem(f"{path}: {error}") from error
