"""Check the files of a profile key by key and merge them; later files override earlier ones."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType
from typing import Any

from cloudq.domain.errors import ConfigProblem, InvalidInput
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

SCHEDULERS = ("local", "slurm", "gridengine", "pbs")

_MOST_S = 86_400
_MAX_LINES = 100
_MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./+-]{0,200}")

Layer = tuple[str, dict[str, Any]]
Reader = Callable[[Any], Any]


class _Unfit(ValueError):
    """A value that cannot be used; the message describes a correct one."""


def read_profile(name: str, layers: Sequence[Layer]) -> SystemProfile:
    """Merge the files *layers*, each with its location, into a profile. Raises `ConfigProblem`."""
    reading = _Reading()
    for place, content in layers:
        reading.add(place, content)
    if not reading.problems and "scheduler" not in reading.top:
        last = layers[-1][0]
        reading.problems.append(f"{last}: scheduler: is missing; must be one of {', '.join(SCHEDULERS)}")
    reading.problems.extend(reading.resources_without_options(layers[-1][0]))
    if reading.problems:
        raise ConfigProblem(reading.problems)
    tables = reading.tables
    return SystemProfile(
        name=name,
        **reading.top,
        **tables["options"],
        **tables["shell"],
        container_runtime=tables["container"].get("runtime", ""),
        limits=Limits(**tables["limits"]),
        resources=MappingProxyType({key: ResourceProfile(**told) for key, told in reading.resources.items()}),
    )


class _Reading:
    def __init__(self) -> None:
        self.problems: list[str] = []
        self.top: dict[str, Any] = {}
        self.tables: dict[str, dict[str, Any]] = {name: {} for name in _TABLES}
        self.resources: dict[str, dict[str, Any]] = {}

    def add(self, place: str, content: dict[str, Any]) -> None:
        """Add the settings of one file."""
        known = (*_TOP, *_TABLES, "resources")
        for key, value in content.items():
            if key in _TOP:
                self._read(self.top, _TOP, key, value, f"{place}: {key}")
            elif key in known and not isinstance(value, dict):
                self.problems.append(f"{place}: {key}: must be a section, [{key}]")
            elif key == "resources":
                self._add_resources(place, value)
            elif key in _TABLES:
                self._add_table(self.tables[key], _TABLES[key], value, f"{place}: [{key}]")
            else:
                self.problems.append(f"{place}: {key}: unknown key{_hint(key, known)}")

    def resources_without_options(self, place: str) -> list[str]:
        """Return the problems of resources that no option could request from the scheduler."""
        if self.problems or self.tables["options"].get("resource") is not None:
            return []
        bare = [name for name, told in self.resources.items() if told.get("options") is None]
        return [f"{place}: [resources.{name}] options: is missing, like [options] resource" for name in bare]

    def _add_table(
        self, target: dict[str, Any], readers: dict[str, Reader], table: dict[str, Any], place: str
    ) -> None:
        for key, value in table.items():
            self._read(target, readers, key, value, f"{place} {key}")

    def _add_resources(self, place: str, table: dict[str, Any]) -> None:
        for name, told in table.items():
            where = f"{place}: [resources.{name}]"
            try:
                checked_name(name)
            except InvalidInput as error:
                self.problems.append(f"{where}: {error}")
            if not isinstance(told, dict):
                self.problems.append(f"{where}: must be a section, [resources.{name}]")
                continue
            self._add_table(self.resources.setdefault(name, {}), _RESOURCE, told, where)

    def _read(
        self, target: dict[str, Any], readers: dict[str, Reader], key: str, value: Any, place: str
    ) -> None:
        reader = readers.get(key)
        if reader is None:
            self.problems.append(f"{place}: unknown key{_hint(key, readers)}")
            return
        try:
            target[_FIELDS.get((id(readers), key), key)] = reader(value)
        except InvalidInput as error:
            self.problems.extend(f"{place}: {problem}" for problem in error.problems)
        except _Unfit as error:
            self.problems.append(f"{place}: {error}")


def _hint(key: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(key, names, n=1)
    return f"; did you mean {close[0]}?" if close else f" (known: {', '.join(sorted(names))})"


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MOST_S:
        raise _Unfit(f"{value!r} is not a number of seconds above 0")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Unfit(f"must be a text in quotes, not {value!r}")
    return value


def _one_of(*choices: str) -> Reader:
    def read(value: Any) -> str:
        if value not in choices:
            raise _Unfit(f"must be one of {', '.join(choices)}, not {value!r}")
        return str(value)

    return read


def _template(fields: frozenset[str]) -> Reader:
    def read(value: Any) -> OptionTemplate | None:
        text = _text(value)
        return OptionTemplate.parse(text, fields) if text.strip() else None

    return read


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Unfit(f"must be true or false, not {value!r}")
    return value


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _Unfit(f"must be a whole number, not {value!r}")
    return read_number(str(value))


def _walltime(value: Any) -> Walltime:
    return Walltime.parse(_text(value))


def _lines(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MAX_LINES:
        raise _Unfit(f"must be a list of at most {_MAX_LINES} texts, not {value!r}")
    for line in value:
        if not _text(line).replace("\t", " ").isprintable() or len(line) > 4_000:
            raise _Unfit(f"{line!r} is not one line of shell")
        try:
            shlex.split(line, comments=True)
        except ValueError as error:  # the following lines would become part of it
            raise _Unfit(f"{line!r} is not one line of shell: {error}") from error
    return tuple(value)


def _modules(value: Any) -> tuple[str, ...]:
    names = _lines(value)
    for name in names:
        if _MODULE.fullmatch(name) is None:
            raise _Unfit(f"{name!r} is not the name of a module")
    return names


_TOP: dict[str, Reader] = {
    "scheduler": _one_of(*SCHEDULERS),
    **dict.fromkeys(("poll_interval", "query_limit", "submit_wait", "submit_limit"), _seconds),
}
_TABLES: dict[str, dict[str, Reader]] = {
    "options": {
        "project": _template(PROJECT_FIELDS),
        "resource": _template(RESOURCE_FIELDS),
        "walltime": _template(WALLTIME_FIELDS),
    },
    "shell": {"preamble": _lines, "modules": _modules},
    "container": {"runtime": _one_of("", *CONTAINER_RUNTIMES)},
    "limits": {
        "n_resource": _number,
        "walltime": _walltime,
        "array_lists": _flag,
        "array_running": _flag,
    },
}
_RESOURCE: dict[str, Reader] = {"options": _template(RESOURCE_FIELDS), "n_resource": _number}
_FIELDS = {(id(_RESOURCE), "n_resource"): "max_n"}
"""Keys that have another name in the domain."""
