"""What one run of ``cloudqaws`` was told, and the builder it makes of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloudq.entrypoints.cloudqcli.group import LazyGroup
from cloudq.entrypoints.cloudqcli.options import option
from cloudq.entrypoints.cloudqcli.session import Session
from cloudq.entrypoints.shared.terminal import cut, printable, tell

if TYPE_CHECKING:
    from cloudq.application.builder.cluster_report import Report
    from cloudq.bootstrap.builder import BuilderParts

Connect = Callable[[Path, str, "Report"], "BuilderParts"]

_LINE = 78
_CLEAR = "\r" + " " * _LINE + "\r"


def _connect(home: Path, profile: str, report: Report) -> BuilderParts:
    from cloudq.bootstrap.builder import builder_parts  # noqa: PLC0415 (--help must not wait for it)

    return builder_parts(home, os.environ, profile, report)


class BuilderSession(Session):
    """As a client's; *connect_builder* can be replaced by a test."""

    def __init__(self, connect_builder: Connect = _connect) -> None:
        super().__init__()
        self._connect_builder = connect_builder

    def builder(self, profile: str = "", *, quiet: bool = False) -> BuilderParts:
        """What builds clusters; with *quiet* nothing but results goes to stdout."""
        from cloudq.application.builder.cluster_report import Report  # noqa: PLC0415
        from cloudq.config import config_home  # noqa: PLC0415

        talk = _Talk(say=tell if quiet else click.echo)
        report = Report(say=talk.said, note=talk.noted, progress=talk.progressed)
        if self.level:
            from cloudq.entrypoints.shared.logging import configure_logging  # noqa: PLC0415

            configure_logging(self.level)
        return self._connect_builder(config_home(os.environ), profile, report)


class _Talk:
    """Words for a user; what changes while one waits stays on one line of a terminal."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def said(self, text: str) -> None:
        self._clear()
        self._say(text)
        sys.stdout.flush()  # the next words may be ten minutes away

    def noted(self, text: str) -> None:
        self._clear()
        tell(text)

    def progressed(self, text: str) -> None:
        if sys.stderr.isatty():
            click.echo(_CLEAR + cut(printable(text), _LINE), nl=False, err=True)

    def _clear(self) -> None:
        if sys.stderr.isatty():
            click.echo(_CLEAR, nl=False, err=True)


class BuilderGroup(LazyGroup):
    """Commands that get a `BuilderSession`."""

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> click.Context:
        extra["obj"] = extra.get("obj") or BuilderSession()
        return super().make_context(info_name, args, *more, **extra)


pass_session = click.make_pass_decorator(BuilderSession, ensure=True)

profile_option = option(
    "--profile", metavar="NAME", help="AWS profile to build with; the default one otherwise."
)


@contextmanager
def interruptible(next_steps: str) -> Iterator[None]:
    """Say what goes on without us when the user interrupts."""
    try:
        yield
    except KeyboardInterrupt:
        tell(f"\nInterrupted. AWS goes on with what was begun, and that costs. {next_steps}")
        raise
