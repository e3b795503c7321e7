"""The options of one run of ``cloudqaws``, and the builder that is made from them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.shared.options import CommonOptions, option
from cloudq.entrypoints.shared.terminal import PassingLine, show_message

if TYPE_CHECKING:
    from cloudq.application.builder.cluster_report import Report
    from cloudq.bootstrap.builder import BuilderParts

Connect = Callable[[Path, str, "Report"], "BuilderParts"]


def _connect(home: Path, profile: str, report: Report) -> BuilderParts:
    from cloudq.bootstrap.builder import builder_parts  # noqa: PLC0415 (--help must not wait for it)

    return builder_parts(home, os.environ, profile, report)


class Session(CommonOptions):
    """The options, and the builder that is made from them; a test may replace *connect*."""

    def __init__(self, connect: Connect = _connect) -> None:
        super().__init__()
        self._connect = connect

    def builder(self, profile: str = "", *, quiet: bool = False) -> BuilderParts:
        """Return the builder; with *quiet*, only results go to stdout."""
        from cloudq.application.builder.cluster_report import Report  # noqa: PLC0415
        from cloudq.config import config_home  # noqa: PLC0415

        talk = _Talk(show=show_message if quiet else click.echo)
        report = Report(say=talk.show_result, note=talk.show_note, progress=talk.show_progress)
        self.configure_logging()
        return self._connect(config_home(os.environ), profile, report)


class _Talk:
    """Messages for the user; progress stays on one line of a terminal."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._line = PassingLine()

    def show_result(self, text: str) -> None:
        self._line.erase()
        self._show(text)
        sys.stdout.flush()  # the next message may be ten minutes away

    def show_note(self, text: str) -> None:
        self._line.erase()
        show_message(text)

    def show_progress(self, text: str) -> None:
        self._line.show(text)


pass_session = click.make_pass_decorator(Session)

profile_option = option(
    "--profile", metavar="NAME", help="AWS profile to build with (default: the default profile)."
)


@contextmanager
def interruptible(next_steps: str) -> Iterator[None]:
    """If the user interrupts, explain what AWS continues to do, and *next_steps*."""
    try:
        yield
    except KeyboardInterrupt:
        show_message(f"\nInterrupted. AWS continues what was started, and charges for it. {next_steps}")
        raise
