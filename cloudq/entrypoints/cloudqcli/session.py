"""What one run of ``cloudqcli`` was told, and the client it makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.shared.options import CommonOptions

if TYPE_CHECKING:
    from cloudq.client import Client
    from cloudq.config import Config


def _connect(config: Config) -> Client:
    from cloudq.client import Client  # noqa: PLC0415 (--help must not wait for it)

    return Client.connect(config)


class Session(CommonOptions):
    """The options, and the client that is made of them; *connect* can be replaced by a test."""

    def __init__(self, connect: Callable[[Config], Client] = _connect) -> None:
        super().__init__()
        self._connect = connect

    def client(self, config: Config | None = None) -> Client:
        """A client, to be used with ``with``; of *config* if that was read already."""
        return self._connect(self.config() if config is None else config)


pass_session = click.make_pass_decorator(Session)
