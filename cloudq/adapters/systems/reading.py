"""The tables of a profile, and how its files become one; later files override earlier ones."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from cloudq.domain.errors import ConfigProblem
from cloudq.domain.scripts.directive import checked_name, read_number
from cloudq.domain.scripts.option_template import OptionTemplate
from cloudq.domain.scripts.system_profile import (
    CONTAINER_RUNTIMES,
    PROJECT_FIELDS,
    RESOURCE_FIELDS,
    WALLTIME_FIELDS,
    Limits,
    ResourceProfile,
    SystemProfile,
)
from cloudq.domain.scripts.walltime import Walltime
from cloudq.toml_tables import Check, Entry, Key, Names, TableReader, TomlFile, one_of, shown

SCHEDULERS = ("local", "slurm", "gridengine", "pbs")

_MAX_SECONDS = 86_400
_MAX_LINES = 100
_MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./+-]{0,200}")


def read_profile(name: str, files: Sequence[TomlFile]) -> SystemProfile:
    """Merge the *files* into a profile. Raises `ConfigProblem` with all problems."""
    reader = TableReader(PROFILE)
    for file in files:
        reader.add_file(file)
    if not reader.problems:
        reader.problems.extend(_missing(reader.values, files[-1]))
    if reader.problems:
        raise ConfigProblem(reader.problems)
    values = reader.values
    resources = values.pop("resources", {})
    return SystemProfile(
        name=name,
        **values.pop("options", {}),
        **values.pop("shell", {}),
        container_runtime=values.pop("container", {}).get("runtime", ""),
        limits=Limits(**values.pop("limits", {})),
        resources=MappingProxyType({key: _resource(**of_key) for key, of_key in resources.items()}),
        **values,
    )


def _resource(options: OptionTemplate | None = None, n_resource: int | None = None) -> ResourceProfile:
    return ResourceProfile(options, n_resource)


def _missing(values: Mapping[str, Any], last: TomlFile) -> Iterator[str]:
    """Yield the problems of keys that no file has: the scheduler, and resources that no option requests."""
    if "scheduler" not in values:
        yield f"{last.place('scheduler')}: is missing; must be one of {', '.join(SCHEDULERS)}"
    if values.get("options", {}).get("resource") is None:
        for name, resource in values.get("resources", {}).items():
            if resource.get("options") is None:
                place = last.place("resources", name, "options")
                yield f"{place}: is missing, like [options] resource"


def _seconds(value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value <= _MAX_SECONDS:
        raise ValueError(f"{shown(value)} is not a number of seconds above 0")
    return float(value)


def _template(fields: frozenset[str]) -> Check:
    def check(value: str) -> OptionTemplate | None:
        return OptionTemplate.parse(value, fields) if value.strip() else None

    return check


def _count(value: int) -> int:
    return read_number(shown(value))


def _lines(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MAX_LINES:
        raise ValueError(f"must be a list of at most {_MAX_LINES} texts, not {shown(value)}")
    for line in value:
        if not isinstance(line, str) or not line.replace("\t", " ").isprintable() or len(line) > 4_000:
            raise ValueError(f"{shown(line)} is not one line of shell")
        try:
            shlex.split(line, comments=True)
        except ValueError as error:  # the following lines would become part of it
            raise ValueError(f"{shown(line)} is not one line of shell: {error}") from error
    return tuple(value)


def _modules(value: Any) -> tuple[str, ...]:
    names = _lines(value)
    for name in names:
        if _MODULE.fullmatch(name) is None:
            raise ValueError(f"{shown(name)} is not the name of a module")
    return names


PROFILE: Mapping[str, Entry] = {
    "scheduler": Key(object, one_of(*SCHEDULERS)),
    **dict.fromkeys(("poll_interval", "query_limit", "submit_wait", "submit_limit"), Key(object, _seconds)),
    "options": {
        "project": Key(str, _template(PROJECT_FIELDS)),
        "resource": Key(str, _template(RESOURCE_FIELDS)),
        "walltime": Key(str, _template(WALLTIME_FIELDS)),
    },
    "shell": {"preamble": Key(object, _lines), "modules": Key(object, _modules)},
    "container": {"runtime": Key(object, one_of("", *CONTAINER_RUNTIMES))},
    "limits": {
        "n_resource": Key(int, _count),
        "walltime": Key(str, Walltime.parse),
        "array_lists": Key(bool),
        "array_running": Key(bool),
    },
    "resources": Names(
        "NAME",
        checked_name,
        {"options": Key(str, _template(RESOURCE_FIELDS)), "n_resource": Key(int, _count)},
    ),
}
"""Every table and key that a file may have, besides ``extends``."""
