"""Collect values, places, notices and problems from one source after another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import define, field

from cloudq.config import checks
from cloudq.config.schema import (
    BY_DOTTED,
    BY_PLACE,
    BY_VARIABLE,
    KEYS,
    SECTIONS,
    TABLES,
    Key,
    Value,
    type_names,
)

_SECRET_KEYS = (
    "secret",
    "passw",
    "credential",
    "accesskey",
    "apikey",
    "accesstoken",
    "authtoken",
    "sessiontoken",
)
_KEY_ID = r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
_NO_SECRETS = (
    "secrets do not belong here: keep keys in ~/.aws/credentials, name their profile in [store] profile, "
    "and replace a key that others may have read"
)

_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def _flag(text: str) -> bool:
    if text.lower() not in _WORDS:
        raise ValueError
    return _WORDS[text.lower()]


_FROM_TEXT: dict[type, Callable[[str], Value]] = {str: str, bool: _flag, int: int, float: float}
_ACCEPTED: dict[type, tuple[type, ...]] = {str: (str,), bool: (bool,), int: (int,), float: (int, float)}


@define
class Reading:
    """Everything found so far; a later source overrides an earlier one."""

    values: dict[str, Value] = field(factory=dict)
    places: dict[str, str] = field(factory=dict)
    """The source of each value by ``section.key``, including values that could not be used."""
    tables: dict[str, dict[str, dict[str, str]]] = field(factory=lambda: {name: {} for name in TABLES})
    notices: list[str] = field(factory=list)
    problems: list[str] = field(factory=list)

    def add_file(self, name: str, text: str, content: Mapping[str, Any]) -> None:
        """Add the contents of a parsed file."""
        from cloudq.config.places import find_lines, line_of  # noqa: PLC0415  only needed with a file

        lines = find_lines(text)

        def place(*path: str) -> str:
            line = line_of(lines, path)
            at = f"{name} line {line}" if line else name
            return f"{at}, {_shown(path)}"

        for section, value in content.items():
            if section in TABLES and isinstance(value, dict):
                self._add_tables(section, value, place)
            elif section in SECTIONS and isinstance(value, dict):
                self._add_section(section, value, place)
            elif section in SECTIONS or section in TABLES:
                self.problems.append(f"{place(section)}: must be a section, [{section}]")
            else:
                what = "section" if isinstance(value, dict) else "key"
                self._refuse(place(section), section, value, (*SECTIONS, *TABLES), what)

    def add_variables(self, environ: Mapping[str, str]) -> None:
        """Add every ``CLOUDQ_SECTION_KEY``; warn about unknown variables of this form instead of failing."""
        for variable, text in environ.items():
            if key := BY_VARIABLE.get(variable):
                self._add_text(f"variable {variable}", key, text)
            elif variable.startswith(tuple(f"CLOUDQ_{section}_".upper() for section in SECTIONS)):
                hint = _hint(variable, BY_VARIABLE)
                self.notices.append(f"unknown variable {variable}{hint}")

    def add_options(self, overrides: Mapping[str, str]) -> None:
        """Add the values given on the command line, by ``section.key``."""
        for dotted, text in overrides.items():
            key = BY_DOTTED[dotted]
            self._add_text(f"option --{key.section}_{key.name}", key, text)

    def _add_section(self, section: str, table: Mapping[str, Any], place: Callable[..., str]) -> None:
        names = [key.name for key in KEYS if key.section == section]
        for name, value in table.items():
            key = BY_PLACE.get((section, name))
            if key is None:
                self._refuse(place(section, name), name, value, names, "key")
            elif _holds_secret(value):
                self.problems.append(f"{place(section, name)}: {_NO_SECRETS}")
            elif type(value) not in _ACCEPTED[key.type]:
                self._note_bad_type(place(section, name), key, repr(value))
            else:
                self._add(place(section, name), key, value)

    def _add_tables(self, section: str, tables: Mapping[str, Any], place: Callable[..., str]) -> None:
        for name, table in tables.items():
            if not isinstance(table, dict):
                self.problems.append(f'{place(section, name)}: write [{section}.NAME] and SYSTEM = "value"')
                continue
            mapped = self.tables[section].setdefault(name, {})
            for system, value in table.items():
                where = place(section, name, system)
                self._add_mapping(mapped, system, value, where)
                if isinstance(value, str):
                    self.problems.extend(f"{where}: {problem}" for problem in _unusable(section, value))

    def _add_mapping(self, mapped: dict[str, str], system: str, value: Any, place: str) -> None:
        if _is_secret(system, value):
            self.problems.append(f"{place}: {_NO_SECRETS}")
        elif not isinstance(value, str) or not value.isprintable():
            self.problems.append(f"{place}: must be a printable {type_names[str][2:]}, not {value!r}")
        else:
            name = self._checked(place, checks.system, system)
            if name is not None and name in mapped:
                self.problems.append(f"{place}: {name} is already set")
            elif name is not None:
                mapped[str(name)] = value

    def _add_text(self, place: str, key: Key, text: str) -> None:
        if _holds_secret(text):
            self.problems.append(f"{place}: {_NO_SECRETS}")
            return
        try:
            value = _FROM_TEXT[key.type](text)
        except ValueError:
            self._note_bad_type(place, key, repr(text))
        else:
            self._add(place, key, value)

    def _add(self, place: str, key: Key, value: Value) -> None:
        self.places[key.dotted] = place
        if key.type is str and value == "" and key.default == "":
            self.values[key.dotted] = value  # the same as an omitted key
            return
        checked = self._checked(place, key.check, value)
        if checked is not None:
            self.values[key.dotted] = checked

    def _checked(self, place: str, check: Callable[..., Any], value: Value) -> Value | None:
        """Return the value as it is kept; None, with the problem noted, if it is invalid."""
        try:
            checked: Value | checks.Lowered = check(value)
        except ValueError as error:
            self.problems.append(f"{place}: {error}")
            return None
        if isinstance(checked, checks.Lowered):
            self.notices.append(f"{place}: names are lower case: {value!r} is taken as {checked.value!r}")
            return checked.value
        return checked

    def _note_bad_type(self, place: str, key: Key, found: str) -> None:
        self.places[key.dotted] = place
        self.problems.append(f"{place}: must be {type_names[key.type]}, not {found}")

    def _refuse(self, place: str, name: str, value: Any, known: Iterable[str], what: str) -> None:
        if _is_secret(name, value):
            self.problems.append(f"{place}: {_NO_SECRETS}")
            return
        elsewhere = [key.place for key in KEYS if key.name == name]
        hint = f"; did you mean {' or '.join(elsewhere)}?" if elsewhere else _hint(name, known)
        self.problems.append(f"{place}: unknown {what}{hint}")


def _unusable(section: str, value: str) -> Iterable[str]:
    """Return what is wrong with a name, or with options, for the submission of a meta job."""
    if not value.startswith("-"):
        return ()
    from cloudq.domain.scripts.system_mapping import SystemMapping  # noqa: PLC0415  most files have no options

    kind = section.removesuffix("s")
    return (problem.removeprefix(f"{kind} ") for problem in SystemMapping("", **{kind: value}).problems())


def _shown(path: tuple[str, ...]) -> str:
    """Return ``[section] key`` or ``[projects.NAME] SYSTEM``; a key outside all sections as it is."""
    if len(path) == 1:
        return path[0]
    return f"[{'.'.join(path[:-1])}] {path[-1]}"


def _hint(name: str, known: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415  only needed when something is wrong

    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _is_secret(name: str, value: object) -> bool:
    plain = name.lower().replace("_", "").replace("-", "")
    return any(word in plain for word in _SECRET_KEYS) or _holds_secret(value)


def _holds_secret(value: object) -> bool:
    if isinstance(value, dict):
        return any(_is_secret(str(name), inner) for name, inner in value.items())
    if isinstance(value, list):
        return any(_holds_secret(inner) for inner in value)
    return isinstance(value, str) and re.search(_KEY_ID, value) is not None
