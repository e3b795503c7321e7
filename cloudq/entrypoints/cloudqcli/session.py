"""What one run of ``cloudqcli`` was told, and the client it makes of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudq.entrypoints.shared.terminal import tell

if TYPE_CHECKING:
    from cloudq.client import Client
    from cloudq.config import Config


def _connect(config: Config) -> Client:
    from cloudq.client import Client  # noqa: PLC0415 (--help must not wait for it)

    return Client.connect(config)


class Session:
    """Options that every command has; *connect* can be replaced by a test."""

    def __init__(self, connect: Callable[[Config], Client] = _connect) -> None:
        self.config_file: Path | None = None
        self.level = ""
        self._connect = connect

    def config(self) -> Config:
        """The configuration; what the user should know about it is said."""
        from cloudq.config import load_config  # noqa: PLC0415

        overrides = {"log.level": self.level} if self.level else {}
        config = load_config(os.environ, path=self.config_file, overrides=overrides)
        for notice in config.notices:
            tell(notice)
        if self.level:
            from cloudq.entrypoints.shared.logging import configure_logging  # noqa: PLC0415

            configure_logging(self.level)
        return config

    def client(self, config: Config | None = None) -> Client:
        """A client, to be used with ``with``; of *config* if that was read already."""
        return self._connect(self.config() if config is None else config)


pass_session = click.make_pass_decorator(Session, ensure=True)
