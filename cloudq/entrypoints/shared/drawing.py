"""Tables for a terminal, drawn with rich, which measures text and knows what the terminal can show.

rich is imported only when something is drawn: ``--help`` and commands in a pipe must not wait for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, Generic

from attrs import evolve, field, frozen

from cloudq.domain.names import duration, span
from cloudq.entrypoints.shared.columns import EXTRA, Column, Item, TableOptions, Value, words_of
from cloudq.entrypoints.shared.terminal import local_time, printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table
    from rich.text import Text

GAP = 2
"""The blanks between two columns."""
FULL_TIMES_FROM = 120
"""The width from which on times are shown in full and not as "3 min ago"."""
COMFORTABLE = 32
"""The width that most values have room in."""
NARROWEST = 4
"""The width below which nothing is cut."""
NOTE_INDENT = 2


def terminal() -> Console:
    """Return the terminal on stdout; it respects ``NO_COLOR`` and ``TERM``."""
    from rich.console import Console  # noqa: PLC0415 (see the module's first lines)

    return Console(highlight=False, markup=False, emoji=False)


def show_table(
    table: TableOptions[Item], items: Iterable[Item], now: datetime, *, full_notes: bool = False
) -> None:
    """Draw the table of *items* with the chosen columns on the terminal."""
    console = terminal()
    look = Look(console.width, now, full_notes)
    console.print(drawn(table.columns, tuple(items), look, omit=not table.chosen), end="")


@frozen
class Look:
    """What a table needs to know of its terminal: the width, and the present time, for ages."""

    width: int
    now: datetime
    has_full_notes: bool = False
    """Whether notes are shown whole, if necessary on more lines below the row; otherwise they are cut."""

    def text(self, value: Value) -> str:
        """Return a value in words; times are shorter on a narrow terminal."""
        is_wide = self.width >= FULL_TIMES_FROM
        if isinstance(value, datetime):
            return local_time(value) if is_wide else age(self.now, value)
        if isinstance(value, timedelta):
            return (duration if is_wide else span)(value.total_seconds())
        return words_of(value)


def age(now: datetime, time: datetime) -> str:
    """Return how long ago *time* was; a time ahead of this machine's clock counts as now."""
    return f"{span(max(0.0, (now - time).total_seconds()))} ago"


def drawn(columns: Sequence[Column[Item]], items: Sequence[Item], look: Look, *, omit: bool = True) -> Rows:
    """Return the table of *items*: a header and a line per item, and notes beside or below these lines.

    Values that are too long are cut, with an ellipsis. With *omit*, columns may be left out: those without
    any value, and those for which the terminal is too narrow.
    """
    filled = [_Filled.of(column, [_cell(column, item, look) for item in items], look) for column in columns]
    notes: list[_Filled[Item]] = []
    if omit:
        filled, notes = _laid_out([each for each in filled if each.has_value or not each.column.rank], look)
    below = notes[0].cells if notes else ()
    return Rows(_table(_shared_out(filled, look.width)), below, look.has_full_notes)


def _cell(column: Column[Item], item: Item, look: Look) -> Text:
    from rich.text import Text  # noqa: PLC0415

    text = look.text(column.value(item)) if column.words is None else column.words(item)
    return Text(printable(text), style=column.style(item))


@frozen(eq=False)
class _Filled(Generic[Item]):
    """A column with its cells, the width that these need, and the width that they get."""

    column: Column[Item]
    cells: Sequence[Text]
    needed: int
    width: int

    @classmethod
    def of(cls, column: Column[Item], cells: Sequence[Text], look: Look) -> _Filled[Item]:
        header = len(column.name)
        needed = max([header, *(cell.cell_len for cell in cells)])
        is_whole = column.least is None or (column.is_note and look.has_full_notes)
        return cls(column, cells, needed, needed if is_whole else min(needed, max(header, column.least or 0)))

    @property
    def has_value(self) -> bool:
        return any(cell.plain for cell in self.cells)


def _laid_out(filled: list[_Filled[Item]], look: Look) -> tuple[list[_Filled[Item]], list[_Filled[Item]]]:
    """Return the columns that fit beside each other, and the notes if these have to be below the rows.

    A note that is shown whole goes below before another column is left out for it.
    """
    beside = _without_the_last(filled, look.width)
    omitted = [each for each in filled if each not in beside]
    if any(look.has_full_notes or each.column.is_note for each in omitted):
        others = [each for each in filled if not each.column.is_note]
        return _without_the_last(others, look.width), [each for each in filled if each.column.is_note]
    return beside, []


def _without_the_last(filled: list[_Filled[Item]], room: int) -> list[_Filled[Item]]:
    """Leave out the columns of the highest rank until the others fit, or until only rank 0 is left."""
    while filled and (last := max(filled, key=lambda each: each.column.rank)).column.rank:
        if _spare(filled, room, COMFORTABLE if last.column.rank > EXTRA else 0) >= 0:
            break
        filled = [each for each in filled if each is not last]
    return filled


def _shared_out(filled: list[_Filled[Item]], room: int) -> list[_Filled[Item]]:
    """Share what is left of the room evenly among the columns that need more; or narrow the widest ones."""
    fitted = list(filled)
    by_need = sorted(range(len(fitted)), key=lambda index: fitted[index].needed - fitted[index].width)
    for place, index in enumerate(by_need):
        share = max(0, _spare(fitted, room)) // (len(by_need) - place)
        fitted[index] = evolve(fitted[index], width=min(fitted[index].needed, fitted[index].width + share))
    may_be_cut = [index for index in by_need if fitted[index].column.least is not None]
    while _spare(fitted, room) < 0 and may_be_cut:
        widest = max(may_be_cut, key=lambda index: fitted[index].width)
        if fitted[widest].width <= NARROWEST:
            break
        fitted[widest] = evolve(fitted[widest], width=fitted[widest].width - 1)
    return fitted


def _spare(filled: Sequence[_Filled[Item]], room: int, comfort: int = 0) -> int:
    """Return the columns of the terminal that are left, if values as wide as *comfort* need not be cut."""
    widths = (max(each.width, min(each.needed, comfort)) for each in filled)
    return room - sum(widths) - GAP * (len(filled) - 1)


def _table(filled: Sequence[_Filled[Any]]) -> Table:
    from rich.table import Table  # noqa: PLC0415

    # The gaps are columns, because versions of rich differ in the padding of the last column.
    table = Table(box=None, padding=0, header_style="bold")
    for number, each in enumerate(filled):
        if number:
            table.add_column(width=GAP)
        justify: Any = "right" if each.column.is_number else "left"
        table.add_column(each.column.header, width=each.width, no_wrap=True, justify=justify)
    for row in zip(*(each.cells for each in filled), strict=True):
        first, *others = row
        table.add_row(first, *chain.from_iterable(("", cell) for cell in others))
    return table


@frozen
class Rows:
    """A table, each row on one line, and the notes below these lines; rich renders it."""

    table: Table = field(repr=False)
    notes: Sequence[Text]
    has_full_notes: bool

    def fitting(self, lines: int) -> int:
        """Return how many of the rows, with cut notes, fit into *lines* below the header."""
        heights = accumulate(self._heights())
        return sum(height <= lines for height in heights)

    @property
    def height(self) -> int:
        """Return the number of lines with the header, if all notes are cut."""
        return 1 + sum(self._heights())

    def _heights(self) -> Iterator[int]:
        for index in range(self.table.row_count):
            yield 2 if index < len(self.notes) and self.notes[index] else 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.padding import Padding  # noqa: PLC0415
        from rich.segment import Segment  # noqa: PLC0415

        # A terminal that does not use UTF-8 has no ellipsis.
        overflow: Any = "crop" if options.ascii_only else "ellipsis"
        for column in self.table.columns:
            column.overflow = overflow
        for index, line in enumerate(console.render_lines(self.table, options, pad=False)):
            yield from (*line, Segment.line())
            if 0 < index <= len(self.notes) and (note := self.notes[index - 1]):
                note.no_wrap, note.overflow = not self.has_full_notes, overflow
                yield Padding(note, (0, 0, 0, NOTE_INDENT))
