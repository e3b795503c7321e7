"""A live table of jobs on a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

import click
from attrs import define, frozen

from cloudq.domain.names import span
from cloudq.entrypoints.cloudqcli.columns import HISTORY_COLUMNS, counted
from cloudq.entrypoints.shared.columns import Item, TableOptions
from cloudq.entrypoints.shared.drawing import Look, drawn, terminal
from cloudq.entrypoints.shared.terminal import is_read_by_user, local_time, printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from cloudq.application.client.watch_jobs import Snapshot
    from cloudq.domain.jobs.selector import Selector
    from cloudq.domain.jobs.summary import ActiveJob
    from cloudq.entrypoints.cloudqcli.session import Session

DEFAULT_INTERVAL_S = 5.0
"""Agents report their jobs at most this often."""
LEAST_INTERVAL_S = 1.0
ENDED_WITHIN_S = 600.0
SILENCE_S = 5.0
"""How late a look may be before the screen says that the store does not answer."""
LEAST_PART = 6
"""The lines that a table needs: a blank line, title, header, two jobs and the number of others."""
SHARE_OF_ENDED = 4
"""Ended jobs take at most one part in this many of the screen, as long as there are unfinished jobs."""

ENDED = TableOptions(
    [column for column in HISTORY_COLUMNS if column.name not in {"submitted", "ready", "started", "labels"}]
)


def _interval(_: click.Context, __: click.Parameter, text: str) -> float:
    from cloudq.domain.jobs.selector import read_span  # noqa: PLC0415 (--help must not wait for it)

    seconds = read_span(text).total_seconds()
    if seconds < LEAST_INTERVAL_S:
        raise click.BadParameter(f"{text!r} is shorter than {LEAST_INTERVAL_S:.0f} s")
    return seconds


interval_option = click.option(
    "--interval",
    default=f"{DEFAULT_INTERVAL_S:.0f}s",
    show_default=True,
    callback=_interval,
    metavar="DURATION",
    help="The time between two looks at the store.",
)


def watch_jobs(
    session: Session, selector: Selector, table: TableOptions[ActiveJob], interval_s: float
) -> None:
    """Draw the selected jobs, and draw them again every *interval_s* seconds, until Ctrl-C."""
    if not is_read_by_user():
        raise click.UsageError("a live table needs a terminal; in a pipe, use: cloudqcli list")
    from rich.live import Live  # noqa: PLC0415 (see drawing)

    console = terminal()
    with session.client() as client, suppress(KeyboardInterrupt):
        snapshots = client.watch(interval_s, ENDED_WITHIN_S, selector)
        screen = Screen(next(snapshots), table, interval_s, client.now, console)
        # It is drawn every second, so that ages stay right even while the store does not answer.
        with Live(console=console, get_renderable=screen.draw, refresh_per_second=1) as live:
            for snapshot in snapshots:
                screen.snapshot = snapshot
                live.refresh()


@define
class Screen:
    """The newest snapshot, as much of it as fits on a terminal."""

    snapshot: Snapshot
    table: TableOptions[ActiveJob]
    interval_s: float
    now: Callable[[], datetime]
    console: Console

    def draw(self) -> RenderableType:
        """Return the counts by state, the unfinished jobs, and the jobs that ended lately."""
        from rich.console import Group  # noqa: PLC0415

        snapshot = self.snapshot
        look = Look(self.console.width, self.now())
        head = [_line(_unfinished(snapshot), "bold"), *self._notices(look.now)]
        room = self.console.height - len(head) - 1
        share = max(LEAST_PART, room // SHARE_OF_ENDED) if snapshot.jobs else room
        title: list[RenderableType] = ["", _line(_ended(snapshot), "bold")]
        ended = _part(title, ENDED, snapshot.ended, look, share)
        unfinished = _part([""], self.table, snapshot.jobs, look, room - ended.height)
        return Group(*head, *unfinished.lines, *ended.lines)

    def _notices(self, now: datetime) -> Iterator[Text]:
        """Yield a line for each thing that the user should know about the states below it."""
        silent_s = (now - self.snapshot.as_of).total_seconds()
        if self.snapshot.trouble or silent_s > self.interval_s + SILENCE_S:
            trouble = f"No answer from the store for {span(silent_s)}; trying again. {self.snapshot.trouble}"
            yield _line(trouble, "bold red")
        for warning in self.snapshot.warnings:
            yield _line(warning, "yellow")


def _line(text: str, style: str) -> Text:
    """Return one line of text, which is cut if it is too long."""
    from rich.text import Text  # noqa: PLC0415

    return Text(printable(text), style, no_wrap=True, overflow="ellipsis")


@frozen
class _Part:
    """A table with a title; its height is 0 if it has no jobs."""

    lines: Sequence[RenderableType] = ()
    height: int = 0


def _part(
    title: Sequence[RenderableType],
    table: TableOptions[Item],
    items: Sequence[Item],
    look: Look,
    room: int,
) -> _Part:
    """Return the table of as many *items* as fit into *room* lines, and a line that counts the others."""
    if not items or room < LEAST_PART:
        return _Part()
    room -= len(title) + 1
    ordered = tuple(table.sorted(items))
    rows = drawn(table.columns, ordered[: room + 1], look, omit=not table.chosen)
    if rows.fitting(room) == len(items):
        return _Part((*title, rows), len(title) + rows.height)
    count = rows.fitting(room - 1)
    rows = drawn(table.columns, ordered[:count], look, omit=not table.chosen)
    return _Part((*title, rows, f"and {len(items) - count} more"), len(title) + rows.height + 1)


def _unfinished(snapshot: Snapshot) -> str:
    """Return the number of unfinished jobs in each state, and the local time of the look that found them."""
    by_state = counted(Counter(job.state for job in snapshot.jobs))
    jobs = f"{len(snapshot.jobs)} unfinished" + (f": {by_state}" if by_state else "")
    return f"{jobs}  ({local_time(snapshot.as_of)})"


def _ended(snapshot: Snapshot) -> str:
    by_state = counted(Counter(entry.state for entry in snapshot.ended))
    return f"Ended in the last {ENDED_WITHIN_S / 60:.0f} min: {by_state}"
