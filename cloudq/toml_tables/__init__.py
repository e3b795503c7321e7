"""Read TOML files by a description of their tables: the configuration, and the profiles of systems.

Every mistake in a file is reported at once, each with its line and a suggestion. Values of other sources
(variables, options) pass through the same checks.

This is not built on cattrs, which would keep neither lines nor suggestions: its import and its generated
functions take 16 ms of CPU time of every command, and reading a configuration takes 3 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, TypeAlias

from attrs import define, field, frozen

from cloudq.domain.errors import ConfigProblem, InvalidInput

MAX_FILE_BYTES = 1024 * 1024
_MAX_SHOWN_CHARS = 200

_TYPE_NAMES = {str: "a text in quotes", bool: "true or false", int: "a whole number", float: "a number"}
_ACCEPTED = {str: (str,), bool: (bool,), int: (int,), float: (int, float)}
_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_REFUSED = object()

KeyPath = tuple[str, ...]
"""The names of the tables that enclose a key, and its own name."""

Check: TypeAlias = Callable[[Any], Any]
"""Returns a value as it is kept, or as `Noted`.

If the value is invalid, it raises `ValueError`, or `InvalidInput` for several problems. The messages describe
valid values; the reader adds the place.
"""


@frozen
class Noted:
    """A value that was changed, with a notice for the user."""

    value: Any
    notice: str


def accept(value: Any) -> Any:
    """Accept every value of the right type."""
    return value


@frozen
class Key:
    """A key: the type of its values (`object` if the check covers it), and their check."""

    type: type
    check: Check = accept


@frozen
class Names:
    """A table whose keys users choose; *placeholder* stands for them in messages."""

    placeholder: str
    check: Check
    entry: Entry


Table: TypeAlias = "Mapping[str, Entry] | Names"
Entry: TypeAlias = "Key | Table"


@frozen
class TomlFile:
    """A parsed file; *name* is how messages call it."""

    name: str
    content: dict[str, Any]
    text: str = field(default="", repr=False)

    @classmethod
    def parse(cls, name: str, text: str) -> TomlFile:
        """Parse *text*. Raises `ConfigProblem`."""
        import tomllib  # noqa: PLC0415  a client without a file does not need the parser

        try:
            return cls(name, tomllib.loads(text), text)
        except RecursionError as error:
            raise ConfigProblem(f"{name}: not TOML: nested too deeply") from error
        except ValueError as error:
            raise ConfigProblem(f"{name}: not TOML: {error}") from error

    @classmethod
    def read(cls, path: FilePath) -> TomlFile | None:
        """Read a file; None if it does not exist. Raises `ConfigProblem`."""
        try:
            with path.open(encoding="utf-8-sig") as file:
                text = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise ConfigProblem(f"{path}: not UTF-8 text") from error
        except OSError as error:
            raise ConfigProblem(f"{path}: cannot be read: {error.strerror or error}") from error
        if len(text) > MAX_FILE_BYTES:
            raise ConfigProblem(f"{path}: too large for a configuration file")
        return cls.parse(str(path), text)

    def place(self, *path: str) -> Place:
        """Return the place of a key."""
        return Place(self, path)


@frozen
class Place:
    """The place of a value, in words: ``config.toml line 3, [store] bucket``, or ``variable CLOUDQ_…``."""

    source: TomlFile | str
    path: KeyPath

    def __str__(self) -> str:
        if isinstance(self.source, str):
            return self.source
        from cloudq.toml_tables.lines import find_lines, line_of  # noqa: PLC0415  only messages need it

        line = line_of(find_lines(self.source.text), self.path)
        return f"{self.source.name}{f' line {line}' if line else ''}, {in_words(self.path)}"


@define
class TableReader:
    """Collects the values of one source after another; a later source overrides an earlier one."""

    table: Mapping[str, Entry]
    forbid: Callable[[str, object], str] = lambda _name, _value: ""
    """Returns why a key and its value must not be in any source, and not in a message; else an empty text."""
    values: dict[str, Any] = field(factory=dict)
    """The checked values in nested dictionaries, like the tables of a file."""
    places: dict[KeyPath, Place] = field(factory=dict)
    """The source of each value, including values that could not be used."""
    notices: list[str] = field(factory=list)
    problems: list[str] = field(factory=list)

    def add_file(self, file: TomlFile) -> None:
        """Add the values of a file."""
        self._add_table(self.values, self.table, file.content, file.place())

    def add_text(self, path: tuple[str, str], key: Key, text: str, source: str) -> None:
        """Add a value that a variable or an option gives as text; *path* is its section and name."""
        section, name = path
        values = self.values.setdefault(section, {})
        self._add_value(values, name, key, _from_text(key.type, text), Place(source, path))

    def _add_table(
        self, values: dict[str, Any], table: Table, content: Mapping[str, Any], within: Place
    ) -> None:
        names = set()
        for key, value in content.items():
            place = Place(within.source, (*within.path, key))
            if isinstance(table, Names):
                name = self._checked(table.check, key, place)
                if name in names and name is not _REFUSED:
                    self._note(place, f"{name} is already set")
                names.add(name)
                self._add_entry(values, name, table.entry, value, place)
            elif key in table:
                self._add_entry(values, key, table[key], value, place)
            else:
                self._note_unknown(place, value, table)

    def _add_entry(self, values: dict[str, Any], name: str, entry: Entry, value: Any, place: Place) -> None:
        if isinstance(entry, Key):
            self._add_value(values, name, entry, value, place)
        elif isinstance(value, dict):
            self._add_table(values.setdefault(name, {}), entry, value, place)
        else:
            problem = f"must be a section, [{_dotted(place.path)}]"
            if isinstance(entry, Names) and isinstance(entry.entry, Key):
                problem += f' and {entry.placeholder} = "value"'
            self._note(place, problem)

    def _add_value(self, values: dict[str, Any], name: str, key: Key, value: Any, place: Place) -> None:
        self.places[place.path] = place
        if reason := self.forbid(place.path[-1], value):
            self._note(place, reason)
        elif key.type is not object and type(value) not in _ACCEPTED[key.type]:
            self._note(place, f"must be {_TYPE_NAMES[key.type]}, not {shown(value)}")
        elif (checked := self._checked(key.check, value, place)) is not _REFUSED:
            values[name] = float(checked) if key.type is float else checked

    def _note_unknown(self, place: Place, value: Any, table: Mapping[str, Entry]) -> None:
        name = place.path[-1]
        if reason := self.forbid(name, value):
            self._note(place, reason)
            return
        kind = "section" if isinstance(value, dict) else "key"
        elsewhere = [in_words(path) for path in key_paths(self.table) if path[-1] == name]
        hint = did_you_mean(name, table, elsewhere) or f" (known: {', '.join(sorted(table))})"
        self._note(place, f"unknown {kind}{hint}")

    def _checked(self, check: Check, value: Any, place: Place) -> Any:
        """Return the value as it is kept; `_REFUSED`, with its problems noted, if it is invalid."""
        try:
            checked = check(value)
        except InvalidInput as error:
            self._note(place, *error.problems)
            return _REFUSED
        except ValueError as error:
            self._note(place, str(error))
            return _REFUSED
        if isinstance(checked, Noted):
            self.notices.append(f"{place}: {checked.notice}")
            return checked.value
        return checked

    def _note(self, place: Place, *problems: str) -> None:
        self.problems.extend(f"{place}: {problem}" for problem in problems)


def _from_text(kind: type, text: str) -> Any:
    """Return the value that *text* gives; the text itself, which is then refused, if it gives none."""
    try:
        return _WORDS.get(text.lower(), text) if kind is bool else kind(text)
    except ValueError:
        return text


def one_of(*choices: str) -> Check:
    """Return a check for one of a few words; an empty one among them stands for a key that is left out."""

    def check(value: object) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise ValueError(f"must be one of {', '.join(filter(None, choices))}, not {shown(value)}")

    return check


def key_paths(table: Table, within: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of every key that a table may have; placeholders stand for names that users choose."""
    entries = {table.placeholder: table.entry} if isinstance(table, Names) else table
    for name, entry in entries.items():
        path = (*within, name)
        if isinstance(entry, Key):
            yield path
        else:
            yield from key_paths(entry, path)


def in_words(path: KeyPath) -> str:
    """Return ``[section] key``, or ``[projects.NAME] SYSTEM``; a key outside all sections as it is."""
    *tables, key = path
    return f"[{_dotted(tables)}] {_dotted([key])}" if tables else _dotted([key])


def _dotted(names: Iterable[str]) -> str:
    return ".".join(name if name and name.isprintable() else repr(name) for name in names)


def did_you_mean(name: str, known: Iterable[str], likely: Sequence[str] = ()) -> str:
    """Return the end of a sentence with the *likely* names, else the *known* one that is similar, if any."""
    import difflib  # noqa: PLC0415  only needed when something is wrong

    meant = likely or difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {' or '.join(meant)}?" if meant else ""


def shown(value: object) -> str:
    """Return a value for a message, cut if it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python limits the digits of numbers in texts
        return "a number of thousands of digits"
    except RecursionError:
        return "a list of lists without end"
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}…"
