"""An agent wired for a run, with its log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cloudq import __version__
from cloudq.bootstrap.agent import AgentParts, agent_parts
from cloudq.config import Config
from cloudq.entrypoints.cloudqd.request import Request
from cloudq.entrypoints.shared.logging import LOG_FILE, configure_logging

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger


def wired_agent(request: Request, config: Config, *, one_shot: bool) -> tuple[AgentParts, BoundLogger]:
    """The agent that *config* describes; it logs to its file and, unless quiet, to stderr."""
    import structlog  # noqa: PLC0415 (it is loaded when logging is configured)

    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)  # before anybody makes it as a mere parent
    configure_logging(config.log.level, directory=config.log_directory, stream=_stream(request))
    log: BoundLogger = structlog.stdlib.get_logger("cloudqd")
    parts = agent_parts(config, log, config.log_directory / LOG_FILE, one_shot=one_shot)
    return parts, log


def say_hello(log: BoundLogger, config: Config) -> None:
    """What runs, for whom, with which store: the first lines that a helper will ask for."""
    store = config.store
    log.info(
        "agent starts",
        version=__version__,
        system=config.agent.name,
        profile=config.agent.profile,
        home=str(config.home),
        store=store.endpoint_url or "Amazon S3",
        bucket=store.bucket,
    )


def _stream(request: Request) -> TextIO | None:
    return Path(os.devnull).open("w", encoding="utf-8") if request.quiet else None
