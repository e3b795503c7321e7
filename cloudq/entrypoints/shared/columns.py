"""The columns of a table, and the options by which a user chooses and sorts them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import click
from attrs import evolve, frozen

from cloudq.entrypoints.shared.options import Command
from cloudq.entrypoints.shared.terminal import local_time, printable

Item = TypeVar("Item")
Value = str | int | datetime | timedelta | tuple[str, ...] | None

EXTRA = 5
"""The highest rank of columns for which others may be cut."""
NOTHING = (None, "", ())
"""The values of an empty cell."""


def _no_style(_: Any) -> str:
    return ""


@frozen
class Column(Generic[Item]):
    """A column: its value for sorting and for a pipe, and how a terminal shows it."""

    name: str
    """Its name for ``--columns`` and ``--sort``; `header` has blanks for underscores."""
    value: Callable[[Item], Value]
    words: Callable[[Item], str] | None = None
    """What a terminal shows instead of the value."""
    style: Callable[[Item], str] = _no_style
    least: int | None = None
    """The width to which long values may be cut; None: they are never cut."""
    rank: int = 0
    """Columns of the highest rank are left out first if a terminal is narrow; 0: this one never is.

    Those above `EXTRA` are left out before others are cut.
    """
    is_default: bool = True
    """Whether it is shown without being asked for."""
    is_number: bool = False
    is_note: bool = False
    """Whether its text moves below the row if there is no room beside it."""

    @property
    def header(self) -> str:
        """Return the text above the column."""
        return self.name.replace("_", " ")


@frozen
class SortKey(Generic[Item]):
    """One key of ``--sort``."""

    column: Column[Item]
    is_descending: bool = False

    def sorted(self, items: Iterable[Item]) -> list[Item]:
        """Return the items in the order of their values; those without a value come last."""
        pairs = [(self.column.value(item), item) for item in items]
        present = [pair for pair in pairs if pair[0] not in NOTHING]
        present.sort(key=lambda pair: _sortable(pair[0]), reverse=self.is_descending)
        return [item for _, item in present] + [item for value, item in pairs if value in NOTHING]


@frozen
class TableOptions(Generic[Item]):
    """The columns and the order of a table, as ``--columns`` and ``--sort`` chose them."""

    known: Sequence[Column[Item]]
    chosen: Sequence[Column[Item]] = ()
    keys: Sequence[SortKey[Item]] = ()

    @property
    def columns(self) -> Sequence[Column[Item]]:
        """Return the chosen columns, or the default ones."""
        return self.chosen or [column for column in self.known if column.is_default]

    def with_notes(self) -> TableOptions[Item]:
        """Return the options of a table that has its notes by default."""
        return evolve(
            self,
            known=[evolve(column, is_default=True) if column.is_note else column for column in self.known],
        )

    def sorted(self, items: Iterable[Item]) -> Iterable[Item]:
        """Return the items in the chosen order; items with equal values keep the order that they had."""
        for key in reversed(self.keys):
            items = key.sorted(items)
        return items

    def plain_lines(self, items: Iterable[Item]) -> Iterator[str]:
        """Yield a header and a line per item, with a tab between two columns."""
        yield "\t".join(column.name for column in self.columns)
        for item in items:
            yield "\t".join(printable(plain(column.value(item))) for column in self.columns)


def words_of(value: Value) -> str:
    """Return a value that is not a time as text."""
    return ", ".join(value) if isinstance(value, tuple) else "" if value is None else str(value)


def plain(value: Value) -> str:
    """Return a value for a pipe: times as other tables have them, lengths of time in whole seconds."""
    if isinstance(value, datetime):
        return local_time(value)
    if isinstance(value, timedelta):
        return str(int(value.total_seconds()))
    return words_of(value)


def _sortable(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def table_options(columns: Sequence[Column[Any]]) -> Callable[[Command], Command]:
    """Add ``--columns`` and ``--sort``; the command gets *table*, its `TableOptions`.

    JSON always has every field, so ``--json`` excludes ``--columns``.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_table(*args: Any, chosen: str | None, order: str | None, **kwargs: Any) -> Any:
            if chosen and kwargs.get("as_json"):
                raise click.UsageError("--json shows every field: leave out --columns or --json")
            table = TableOptions(columns, _columns(columns, chosen), _sort_keys(columns, order))
            return command(*args, table=table, **kwargs)

        names = ", ".join(column.name for column in columns)
        with_sort = click.option(
            "--sort", "order", metavar="COLUMN,…", help="Sort by these columns; '-' before one reverses it."
        )
        with_columns = click.option(
            "--columns", "chosen", metavar="COLUMN,…", help=f"Show only these columns, of: {names}."
        )
        decorated: Command = with_columns(with_sort(with_table))  # type: ignore[assignment]
        return decorated

    return decorate


def _sort_keys(columns: Sequence[Column[Any]], text: str | None) -> tuple[SortKey[Any], ...]:
    words = [word.strip() for word in (text or "").split(",")]
    by = _columns(columns, text and ",".join(word.removeprefix("-") for word in words), "--sort")
    return tuple(map(SortKey, by, (word.startswith("-") for word in words)))


def _columns(
    columns: Sequence[Column[Any]], text: str | None, option: str = "--columns"
) -> tuple[Column[Any], ...]:
    """Return the columns that *text* names. Raises a usage error that lists all unknown names."""
    if text is None:
        return ()
    by_name = {column.name: column for column in columns}
    names = [name.strip() for name in text.split(",")]
    if unknown := [repr(name) for name in names if name not in by_name]:
        raise click.UsageError(f"{option}: no column {', '.join(unknown)} (known: {', '.join(by_name)})")
    return tuple(by_name[name] for name in names)
