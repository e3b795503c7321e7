"""The profiles shipped with cloudq and a site's own profiles, read from TOML.

A site's own profiles are in a separate directory. One with the name of a shipped profile contains
only what differs from it; one with another name may build on any profile with ``extends``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from cloudq.adapters.systems.reading import read_profile
from cloudq.domain.errors import ConfigProblem
from cloudq.domain.scripts.system_profile import SystemProfile
from cloudq.toml_tables import TomlFile, shown

EXTENDS = "extends"


def load_profile(name: str, own: Path) -> SystemProfile:
    """Load the profile *name*, from the directory *own* and the profiles shipped with cloudq.

    Raises `ConfigProblem` for a profile that does not exist, and for all problems in its files.
    """
    return read_profile(name, _files(name, own, ()))


def has_profile(name: str, own: Path) -> bool:
    """Return whether there is a profile of this name."""
    return name in shipped_profiles() or _own_file(name, own).is_file()


def has_own_profile(name: str, own: Path) -> bool:
    """Return whether the site has a file of this name."""
    return _own_file(name, own).is_file()


@cache
def shipped_profiles() -> Mapping[str, str]:
    """Return the text of every profile shipped with cloudq, by name."""
    profiles = (file for file in files(__package__).iterdir() if file.name.endswith(".toml"))
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in profiles}


def _own_file(name: str, own: Path) -> Path:
    return own / f"{name}.toml"


def _files(name: str, own: Path, seen: tuple[str, ...]) -> list[TomlFile]:
    """Return the files that make up the profile, the base first."""
    path = _own_file(name, own)
    file = TomlFile.read(path) if name not in seen and path.is_file() else None
    if file is None:
        return _shipped_files(name, path)
    base = file.content.pop(EXTENDS, name if name in shipped_profiles() else None)
    if base is None:
        return [file]
    if not isinstance(base, str) or not base or "/" in base:
        raise ConfigProblem(f"{file.place(EXTENDS)}: {shown(base)} is not the name of a profile")
    if base in (*seen, name) and base not in shipped_profiles():
        raise ConfigProblem(f"{file.place(EXTENDS)}: {base!r} itself extends this profile")
    return [*_files(base, own, (*seen, name)), file]


def _shipped_files(name: str, path: Path) -> list[TomlFile]:
    text = shipped_profiles().get(name)
    if text is None:
        known = ", ".join(sorted(shipped_profiles()))
        raise ConfigProblem(
            f"unknown profile {name!r}: {path} does not exist, and cloudq includes only: {known}"
        )
    file = TomlFile.parse(f"{name}.toml", text)
    base = file.content.pop(EXTENDS, None)
    return [*([] if base is None else _shipped_files(base, path)), file]
