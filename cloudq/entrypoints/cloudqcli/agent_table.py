"""The table of agents: for a terminal, and for a pipe with columns as wide as their contents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from cloudq.domain.names import span
from cloudq.domain.stores.store_check import StoreCheck
from cloudq.entrypoints.cloudqcli.columns import dim, state_style
from cloudq.entrypoints.shared.columns import Column, plain
from cloudq.entrypoints.shared.terminal import cut, local_time, printable, right, width

if TYPE_CHECKING:
    from cloudq.application.shared.list_agents import AgentReport

MOST_COLUMNS = 30
"""The maximum width of values that an agent reports; names of systems are never cut."""


def _silence(agent: AgentReport) -> timedelta | None:
    return None if agent.last_beat_s is None else timedelta(seconds=agent.last_beat_s)


def _age(report: AgentReport) -> str:
    return "" if report.last_beat_s is None else f"{span(report.last_beat_s)} ago"


def agent_lines(agents: Sequence[AgentReport], *, long: bool = False) -> Iterator[str]:
    """Yield header, rule, and a line per agent; *long* adds its store check, its work and its last error."""
    columns = [column for column in AGENT_COLUMNS if column.is_default]
    header = [column.header for column in columns]
    rows = [[_cell(column, agent) for column in columns] for agent in agents]
    widths = [max(width(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    head = _line(header, widths)
    yield head + ("  store checked, busy with, last error" if long else "")
    yield "-" * width(head)
    for agent, row in zip(agents, rows, strict=True):
        yield (_line(row, widths) + ("  " + printable(_notes(agent)) if long else "")).rstrip()


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(right(cell, columns) for cell, columns in zip(cells, widths, strict=True))


def _cell(column: Column[AgentReport], agent: AgentReport) -> str:
    text = printable(plain(column.value(agent)) if column.words is None else column.words(agent))
    return text if column.name == "system" else cut(text, MOST_COLUMNS)


def _notes(agent: AgentReport) -> str:
    notes = (store_check_text(agent.store_check), agent.busy, agent.last_error)
    return ", ".join(filter(None, notes))


def _notes_in_words(agent: AgentReport) -> str:
    checked = StoreCheck.parse(agent.store_check)
    is_fit = checked is not None and not checked.is_weak
    prefix = "store checked " if is_fit else "store: "
    check = agent.store_check and prefix + store_check_text(agent.store_check)
    return "; ".join(filter(None, (check, agent.busy, agent.last_error)))


def store_check_text(text: str) -> str:
    """Return the time of a store check that found the store fit, or what is wrong with the store."""
    check = StoreCheck.parse(text)
    if check is None:
        return text
    return f"weak: {check.flaws}" if check.is_weak else local_time(check.time)


AGENT_COLUMNS: Sequence[Column[AgentReport]] = (
    Column("system", lambda agent: agent.system, least=12),
    Column("state", lambda agent: agent.state.value, style=state_style),
    Column("since", lambda agent: agent.since, rank=5),
    Column("last_beat", _silence, words=_age, rank=1),
    Column("held", lambda agent: agent.jobs_held, rank=3, is_number=True),
    Column("waiting", lambda agent: agent.jobs_waiting, rank=4, is_number=True),
    Column("version", lambda agent: agent.version, least=7, rank=7),
    Column("host", lambda agent: agent.host, least=8, rank=8),
    Column("profile", lambda agent: agent.profile, least=8, rank=9),
    Column("scheduler", lambda agent: agent.scheduler, least=8, rank=6),
    Column(
        "note", _notes, words=_notes_in_words, style=dim, least=24, rank=2, is_default=False, is_note=True
    ),
)
"""The columns of `agents`; ``--long`` adds the note."""
