"""``cloudqd --status``: show which agent acts for the system, and the age of its last heartbeat."""

from __future__ import annotations

import json

import click

from cloudq.bootstrap.agent_process import AgentProcess, newest_lease
from cloudq.bootstrap.homes import doubt_of
from cloudq.config import Config
from cloudq.domain.errors import StoreProblem
from cloudq.domain.jobs.lease import AgentState, ProcessIdentity
from cloudq.domain.stores.store_check import StoreCheck
from cloudq.entrypoints.cloudqd.request import NOT_RUNNING, Request
from cloudq.entrypoints.shared.terminal import printable, tell
from cloudq.ports.system_registry import SeenLease

LABEL_COLUMNS = 14


def run(request: Request) -> int:
    """Print the status; return 0 if an agent acts for the system."""
    config = request.config()
    agent = AgentProcess(config)
    here = agent.running()
    trouble = agent.noted_trouble() if here else ""
    seen = _newest_lease(config, trouble)
    state, is_running = _state(seen, here)
    facts = {"system": config.agent.name, "state": state, **_facts(seen)}
    if trouble := trouble or doubt_of(config):
        facts["last_error"] = trouble
    if request.as_json:
        click.echo(json.dumps({**facts, "running": is_running}, indent=2))
    else:
        for label, value in facts.items():
            shown = printable(_text(label, value))
            click.echo(f"{label.removesuffix('_s').replace('_', ' '):<{LABEL_COLUMNS}}{shown}".rstrip())
    return 0 if is_running else NOT_RUNNING


def _newest_lease(config: Config, trouble: str) -> SeenLease | None:
    """Return the newest lease; if that raises `StoreProblem`, also show the problem that the agent noted."""
    try:
        return newest_lease(config)
    except StoreProblem as error:
        if trouble and trouble not in str(error):
            tell(f"The agent that runs here has trouble: {trouble}")
        raise


def _state(seen: SeenLease | None, here: ProcessIdentity | None) -> tuple[str, bool]:
    if seen is None:
        return (_starting(here) or "no agent has ever acted for this system", False)
    if seen.agent_state is AgentState.STOPPED:
        return (_starting(here) or "stopped", False)
    if seen.agent_state is AgentState.AWAY:
        return ("not reporting: its jobs wait until it does", False)
    if here == seen.lease.process:
        return ("running here", True)
    if here is not None:
        return (f"running elsewhere; pid {here.pid} here waits in case it ends", True)
    return ("running elsewhere", True)


def _starting(here: ProcessIdentity | None) -> str:
    return "" if here is None else f"not acting yet: pid {here.pid} here is starting or has trouble"


def _facts(seen: SeenLease | None) -> dict[str, str | int | float]:
    if seen is None:
        return {}
    check = StoreCheck.parse(seen.lease.store_check)
    weakness = {"weak_store": check.flaws} if check is not None and check.is_weak else {}
    return {
        "host": seen.lease.process.host,
        "pid": seen.lease.process.pid,
        "last_beat_s": round(seen.age_s, 1),
        "version": seen.lease.version,
        "profile": seen.lease.profile,
        "last_error": seen.lease.last_error,
        **({"busy": seen.lease.busy} if seen.lease.busy else {}),
        **weakness,
    }


def _text(label: str, value: str | float) -> str:
    return f"{value:.0f} s ago" if label == "last_beat_s" else str(value)
