"""The options of one run of ``cloudqcli``, and the client that is made from them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.shared.options import CommonOptions
from cloudq.entrypoints.shared.terminal import PassingLine, show_message

if TYPE_CHECKING:
    from cloudq.client import Client
    from cloudq.config import Config
    from cloudq.ports.client_memory import ClientMemory

PROGRAM = "cloudqcli"


def _connect(config: Config) -> Client:
    from cloudq.client import Client  # noqa: PLC0415 (--help must not wait for it)

    return Client.connect(config, on_silence=_show_silence if sys.stderr.isatty() else None)


def _show_silence(text: str) -> None:
    PassingLine().erase()
    show_message(text)


class Session(CommonOptions):
    """The options, and the client that is made from them; a test may replace *connect*."""

    def __init__(self, connect: Callable[[Config], Client] = _connect) -> None:
        super().__init__()
        self._connect = connect

    def client(self, config: Config | None = None) -> Client:
        """Return a client, to be used with ``with``; for *config* if that was loaded already."""
        return self._connect(self.config() if config is None else config)

    def known_jobs(self) -> Sequence[str]:
        """Return the ids of jobs that this user submitted or listed on this machine."""
        return self._memory().jobs()

    def known_systems(self) -> Sequence[str]:
        """Return the names of systems that this user saw on this machine."""
        return self._memory().systems()

    def _memory(self) -> ClientMemory:
        from cloudq.bootstrap.client_memory import client_memory  # noqa: PLC0415
        from cloudq.config import load_config  # noqa: PLC0415
        from cloudq.domain.errors import CloudqError  # noqa: PLC0415
        from cloudq.ports.client_memory import NO_MEMORY  # noqa: PLC0415

        try:
            return client_memory(load_config(os.environ, path=self.config_file))
        except CloudqError:  # a message would end up in the line that is being typed
            return NO_MEMORY


pass_session = click.make_pass_decorator(Session)
