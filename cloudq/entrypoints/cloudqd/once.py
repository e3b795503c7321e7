"""``cloudqd``: one cycle, then exit."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from cloudq.bootstrap.own_agent import agent_process
from cloudq.config import Config
from cloudq.domain.errors import AgentRunsAlready
from cloudq.entrypoints.cloudqd.parts import wired_agent
from cloudq.entrypoints.cloudqd.request import Request
from cloudq.entrypoints.shared.terminal import show_message


def run(request: Request) -> int:
    """Run one cycle, unless another agent acts for the system."""
    config = request.config()
    here = agent_process(config)
    here.guard()
    try:
        with here.alone():
            return _run(request, config)
    except AgentRunsAlready as error:
        show_message(f"Nothing was done: {error}")
        return 0


def _run(request: Request, config: Config) -> int:
    parts, _ = wired_agent(request, config, one_shot=True)
    signal.signal(signal.SIGTERM, _end)
    parts.start_background()
    try:
        waiting = parts.run.one_cycle()
    finally:
        parts.stop_background()
        parts.close()
    if waiting is not None:
        holder = waiting.holder.process
        show_message(
            f"Nothing was done: another agent acts for {config.agent.name}, pid {holder.pid} on "
            f"{holder.host}; its last heartbeat is {waiting.age_s:.0f} s old."
        )
    return 0


def _end(number: int, _: FrameType | None) -> None:
    """Exit through every ``finally``, so that the lease is released."""
    sys.exit(128 + number)
