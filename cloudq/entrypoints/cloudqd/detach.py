"""``cloudqd --daemon --detach``: run in the background, and return once the agent works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from cloudq.application.agent.report_status import AgentStatus
from cloudq.bootstrap.own_agent import DetachedProcess, agent_process, status_report
from cloudq.config import Config
from cloudq.domain.errors import AgentEndedAtOnce, StoreProblem, WaitTimedOut
from cloudq.entrypoints.cloudqd.daemon import refuse_second
from cloudq.entrypoints.cloudqd.request import Request
from cloudq.entrypoints.shared.logging import LOG_FILE
from cloudq.entrypoints.shared.terminal import printable, show_message

START_WITHIN_S = 45.0
"""If the store does not answer, a look takes 20 s longer."""
LOOK_EVERY_S = 0.3
STANDBY_AFTER_S = 3.0
LAST_WORDS_BYTES = 4_000


def run(request: Request) -> int:
    """Start an agent, wait until it acts for its system, and print its pid and log file."""
    config = request.config()
    here = agent_process(config)
    here.guard()
    refuse_second(here, config)
    output = config.log_directory / f"{config.agent.name}.out"
    agent = here.start(["--daemon", "--quiet", *request.as_options()], output)
    work = _wait_until_it_acts(agent, config, output, here.clock.elapsed)
    agent.let_go()
    click.echo(f"The agent of {config.agent.name} {work}: pid {agent.identity.pid}")
    click.echo(f"Its log: {printable(str(config.log_directory / LOG_FILE))}")
    return 0


def _wait_until_it_acts(
    agent: DetachedProcess, config: Config, output: Path, elapsed: Callable[[], float]
) -> str:
    report, began, trouble = status_report(config), elapsed(), ""
    while elapsed() - began < START_WITHIN_S:
        status = agent.wait(LOOK_EVERY_S)
        if status is not None:
            raise AgentEndedAtOnce(_last_words(output, status), status if 0 < status < 256 else 1)
        try:
            work, trouble = _what_it_does(agent, report(), may_wait=elapsed() - began > STANDBY_AFTER_S), ""
        except StoreProblem as error:
            work, trouble = "", f": {error}"
        if work:
            return work
    agent.let_go()
    raise WaitTimedOut(
        f"The agent of {config.agent.name} (pid {agent.identity.pid}) does not act yet and keeps "
        f"trying{trouble}\nIts log: {config.log_directory / LOG_FILE}"
    )


def _what_it_does(agent: DetachedProcess, status: AgentStatus, *, may_wait: bool) -> str:
    """Return what the lease in the store shows about the agent; empty while nothing is decided."""
    if status.seen is None or not status.presence.is_acting:
        return ""
    holder = status.seen.lease.process
    if holder == agent.identity:
        return "runs"
    if not may_wait:
        return ""
    show_message(f"Another agent acts for {status.system}: pid {holder.pid} on {holder.host}.")
    return "waits in case the other one ends"


def _last_words(output: Path, status: int) -> str:
    try:
        last_words = output.read_bytes()[-LAST_WORDS_BYTES:].decode(errors="replace").strip()
    except OSError:
        last_words = ""
    return f"the agent ended at once with status {status}{':' if last_words else ''}\n{last_words}".strip()
