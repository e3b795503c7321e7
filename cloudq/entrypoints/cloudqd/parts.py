"""An agent that is wired for a run, with its log."""

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
    """Return the agent that *config* describes, with its log to a file and, unless quiet, to stderr."""
    import structlog  # noqa: PLC0415 (it is loaded when logging is configured)

    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)  # not later as a parent: with other modes
    configure_logging(config.log.level, directory=config.log_directory, stream=_stream(request))
    log: BoundLogger = structlog.stdlib.get_logger("cloudqd")
    parts = agent_parts(config, log, config.log_directory / LOG_FILE, one_shot=one_shot)
    return parts, log


def log_start(log: BoundLogger, config: Config) -> None:
    """Log what runs, for which system, with which store: the first facts that support needs."""
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
