"""``cloudqd --daemon``: cycles in the foreground, until SIGTERM or SIGINT."""

from __future__ import annotations

import signal
from types import FrameType
from typing import TYPE_CHECKING

from cloudq.bootstrap.agent import AgentParts
from cloudq.bootstrap.original_jobs import notice_of_original_jobs
from cloudq.bootstrap.own_agent import AgentProcess, agent_process
from cloudq.config import Config
from cloudq.domain.errors import AgentRunsAlready, StoreProblem
from cloudq.entrypoints.cloudqd.parts import log_start, wired_agent
from cloudq.entrypoints.cloudqd.request import Request

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger


def run(request: Request) -> int:
    """Run until asked to stop; then finish the current step and release the lease."""
    config = request.config()
    here = agent_process(config)
    here.guard()
    refuse_second(here, config)
    with here.alone():
        return _run(request, config, here)


def _run(request: Request, config: Config, here: AgentProcess) -> int:
    parts, log = wired_agent(request, config, one_shot=False)
    _stop_on_signals(parts)
    log_start(log, config)
    _warn_of_original_jobs(log, config)
    here.note()
    parts.start_background()
    try:
        parts.run.forever()
    finally:
        parts.stop_background()
        parts.close()
        here.forget()
    log.info("agent ends; jobs under way go on", system=config.agent.name)
    return 0


def refuse_second(here: AgentProcess, config: Config) -> None:
    """Raise `AgentRunsAlready` if an agent of this home and system runs on this host."""
    running = here.running()
    if running is not None:
        raise AgentRunsAlready(
            f"An agent of {config.agent.name} runs here already, pid {running.pid}. To end it: cloudqd --stop"
        )


def _warn_of_original_jobs(log: BoundLogger, config: Config) -> None:
    try:
        for notice in notice_of_original_jobs(config):
            log.warning(notice)
    except StoreProblem as error:  # not fatal: the agent itself tries again and again
        log.warning("the store does not answer yet", error=str(error))


def _stop_on_signals(parts: AgentParts) -> None:
    asked: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        if not asked:  # the next signal may interrupt the handler, and stop takes a lock
            asked.append(number)
            parts.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
