"""``cloudqd --status``: show which agent acts for the system, and the age of its last heartbeat."""

from __future__ import annotations

import json

import click

from cloudq.application.agent.report_status import AgentStatus, Presence
from cloudq.bootstrap.own_agent import status_report
from cloudq.domain.errors import HomeInDoubt
from cloudq.domain.stores.store_check import StoreCheck
from cloudq.entrypoints.cloudqd.request import NOT_RUNNING, Request
from cloudq.entrypoints.shared.advice import advised
from cloudq.entrypoints.shared.terminal import printable, show_message
from cloudq.ports.system_registry import SeenLease

LABEL_COLUMNS = 14

_STATES = {
    Presence.NEVER: "no agent has ever acted for this system",
    Presence.STOPPED: "stopped",
    Presence.AWAY: "not reporting: its jobs wait until it does",
    Presence.HERE: "running here",
    Presence.ELSEWHERE: "running elsewhere",
}


def run(request: Request) -> int:
    """Print the status; return 0 if an agent acts for the system."""
    status = status_report(request.config())()
    facts = {"system": status.system, "state": _state(status), **_facts(status.seen)}
    if status.last_error:
        facts["last_error"] = status.last_error
    if request.as_json:
        click.echo(json.dumps({**facts, "running": status.presence.is_acting}, indent=2))
    else:
        for label, value in facts.items():
            shown = printable(_text(label, value))
            click.echo(f"{label.removesuffix('_s').replace('_', ' '):<{LABEL_COLUMNS}}{shown}".rstrip())
    if status.doubt:
        show_message(advised(HomeInDoubt(status.doubt)))
    return 0 if status.presence.is_acting else NOT_RUNNING


def _state(status: AgentStatus) -> str:
    """Return the state in words, with the process here if that is not the acting one."""
    here, presence = status.here, status.presence
    if here is not None and presence in {Presence.NEVER, Presence.STOPPED}:
        return f"not acting yet: pid {here.pid} here is starting or has trouble"
    if here is not None and presence is Presence.ELSEWHERE:
        return f"{_STATES[presence]}; pid {here.pid} here waits in case it ends"
    return _STATES[presence]


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
