"""The table of agents, with columns as wide as their contents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from cloudq.domain.names import span
from cloudq.domain.stores.store_check import StoreCheck
from cloudq.entrypoints.cloudqcli.tables import local_time
from cloudq.entrypoints.shared.terminal import cut, printable, right, width

if TYPE_CHECKING:
    from cloudq.application.shared.list_agents import AgentReport

MOST_COLUMNS = 30
"""The maximum width of values that an agent reports; names of systems are never cut."""


def _age(report: AgentReport) -> str:
    return "" if report.last_beat_s is None else f"{span(report.last_beat_s)} ago"


def _count(jobs: int | None) -> str:
    return "" if jobs is None else str(jobs)


_TEXTS: tuple[tuple[str, Callable[[AgentReport], str]], ...] = (
    ("system", lambda agent: agent.system),
    ("state", lambda agent: agent.state.value),
    ("since", lambda agent: local_time(agent.since)),
    ("last beat", _age),
    ("held", lambda agent: _count(agent.jobs_held)),
    ("waiting", lambda agent: _count(agent.jobs_waiting)),
    ("version", lambda agent: _fitted(agent.version)),
    ("host", lambda agent: _fitted(agent.host)),
    ("profile", lambda agent: _fitted(agent.profile)),
    ("scheduler", lambda agent: _fitted(agent.scheduler)),
)


def agent_lines(agents: Sequence[AgentReport], *, long: bool = False) -> Iterator[str]:
    """Yield header, rule, and a line per agent; *long* adds its store check, its work and its last error."""
    header = [label for label, _ in _TEXTS]
    rows = [[text_of(agent) for _, text_of in _TEXTS] for agent in agents]
    widths = [max(width(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    head = _line(header, widths)
    yield head + ("  store checked, busy with, last error" if long else "")
    yield "-" * width(head)
    for agent, row in zip(agents, rows, strict=True):
        yield (_line(row, widths) + ("  " + _notes(agent) if long else "")).rstrip()


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(right(cell, columns) for cell, columns in zip(cells, widths, strict=True))


def _fitted(text: str) -> str:
    return cut(printable(text), MOST_COLUMNS)


def _notes(agent: AgentReport) -> str:
    notes = (store_check_text(agent.store_check), agent.busy, agent.last_error)
    return printable(", ".join(filter(None, notes)))


def store_check_text(text: str) -> str:
    """Return the time of a store check that found the store fit, or what is wrong with the store."""
    check = StoreCheck.parse(text)
    if check is None:
        return text
    return f"weak: {check.flaws}" if check.is_weak else local_time(check.time)
