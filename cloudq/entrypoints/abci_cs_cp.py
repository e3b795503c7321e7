"""``abci_cs_cp``, which copies between buckets and files in jobs. The reference is ``docs/job-tools.md``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from types import FrameType

import click

from cloudq.bootstrap.copying import copy_parts, stopwatch
from cloudq.domain.errors import UsageProblem
from cloudq.domain.stores.copy_places import parse_place
from cloudq.entrypoints.shared.faults import faults_reported
from cloudq.entrypoints.shared.terminal import show_progress

SHOW_EVERY_S = 2.0
USAGE = "usage: abci_cs_cp SRC DST [ENDPOINT [PROFILE]], one of SRC and DST in a bucket: s3://bucket/key"


class Progress:
    """Count what was copied, and show it from time to time if stderr is a terminal."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._shown_at = 0.0
        self._files = self._bytes = 0

    def add(self, files: int, size: int) -> None:
        """Add to the counts; safe in threads."""
        with self._lock:
            self._files += files
            self._bytes += size
            if self._elapsed() - self._shown_at >= SHOW_EVERY_S:
                self._shown_at = self._elapsed()
                show_progress(str(self))

    def __str__(self) -> str:
        return f"copied so far: {self._files} files, {self._bytes / 1e6:,.1f} MB"


@click.command(context_settings={"help_option_names": []})
@click.argument("places", nargs=-1, metavar="SRC DST [ENDPOINT [PROFILE]]")
@click.pass_context
def main(ctx: click.Context, places: tuple[str, ...]) -> None:
    """Copy between a bucket and files."""
    with faults_reported("abci_cs_cp", ctx):
        if not 2 <= len(places) <= 4:
            raise UsageProblem(USAGE)
        signal.signal(signal.SIGTERM, _end)
        _copy(*places)


def _copy(source: str, target: str, endpoint: str = "", profile: str = "") -> None:
    places = parse_place(source), parse_place(target)
    parts = copy_parts(os.environ, endpoint, profile, Progress(stopwatch()).add)
    with closing(parts):
        parts.copy(*places)


def _end(number: int, _: FrameType | None) -> None:
    """Exit through every ``finally``, so that no partial file stays."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main(prog_name="abci_cs_cp")
