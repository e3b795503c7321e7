"""The progress of a transfer: bytes, rate and time left, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import define, field

from cloudq.entrypoints.shared.terminal import show_message

if TYPE_CHECKING:
    from rich.progress import Progress


@define
class Transfer:
    """The progress of one transfer, and the messages about it."""

    what: str
    is_shown: bool
    """Whether a person sees the bar."""
    _bar: Progress | None = field(default=None, init=False)

    def show(self, done: int, total: int) -> None:
        """Show the bytes so far and in all."""
        if not self.is_shown:
            return
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
        for task in self._bar.task_ids or [self._bar.add_task(self.what)]:
            self._bar.update(task, completed=done, total=total)

    def warn(self, text: str) -> None:
        """Show a message on stderr, on a line without the bar."""
        self.erase()
        show_message(text)

    def erase(self) -> None:
        """Remove the bar from the terminal, until there is more to show."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


@contextmanager
def shown_transfer(what: str, *, quiet: bool = False) -> Iterator[Transfer]:
    """Yield the display of a transfer; its bar is on stderr, if that is a terminal, until the block ends."""
    transfer = Transfer(what, not quiet and sys.stderr.isatty())
    try:
        yield transfer
    finally:
        transfer.erase()


def _bar() -> Progress:
    from rich.console import Console  # noqa: PLC0415 (only a terminal needs it)
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(file=sys.stderr), transient=True, redirect_stdout=False)
