"""Tables and lists for people, with the columns of the original CloudQ."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from cloudq.entrypoints.cloudqcli.output import OPTIONAL_STAT_FIELDS, STAT_FIELDS
from cloudq.entrypoints.shared.terminal import cut, local_time, printable, right, width

if TYPE_CHECKING:
    from cloudq.application.client.query_jobs import JobStatus
    from cloudq.domain.jobs.history import HistoryEntry
    from cloudq.domain.jobs.job import Job
    from cloudq.domain.jobs.job_state import JobState
    from cloudq.domain.jobs.summary import ActiveJob

LABEL_COLUMNS = 22
ID_COLUMNS = 12
NAME_COLUMNS = 20
STATE_INDENT = 6
STATE_AND_SYSTEM_COLUMNS = 22
TIME_COLUMNS = 19

LIST_HEADER = "      job-ID                  name     state  run-system            submit at"
HISTORY_HEADER = f"{LIST_HEADER}             start at            finish at"


def _tasks(job: Job) -> str:
    groups = (f"{group.ids} {_end(group.state, group.exit_code)}" for group in job.tasks.groups)
    return "; ".join(groups)


def _end(state: JobState, exit_code: int | None) -> str:
    return state.value if exit_code is None else f"{state.value} {exit_code}"


_JOINED_BY = {"remarks": "; ", "left_out": "; "}
"""What separates the items of a field; ids are separated by commas."""

_QUOTED = frozenset({"arguments", "environment", "outputs"})
"""Fields whose items may contain anything and are quoted as for a shell."""


def field_text(job: Job, name: str) -> str:
    """Return a field of a job as ``stat`` shows it."""
    if name == "tasks":
        return _tasks(job)
    value = getattr(job, name)
    if isinstance(value, datetime):
        return local_time(value)
    if name in _QUOTED:
        return shlex.join(value)
    if isinstance(value, tuple):
        return _JOINED_BY.get(name, ",").join(value)
    return "" if value is None else str(getattr(value, "value", value))


def stat_lines(job: Job) -> Iterator[str]:
    """Yield a line for every field of a job; an empty field is shown as its label only, or not at all."""
    for name in (*STAT_FIELDS, *(name for name in OPTIONAL_STAT_FIELDS if getattr(job, name))):
        yield f"{name:<{LABEL_COLUMNS}}{printable(field_text(job, name))}".rstrip()


def status_lines(status: JobStatus) -> Iterator[str]:
    """Yield the lines of `stat_lines`; while the job has not ended, also why it waits and its progress."""
    yield from stat_lines(status.job)
    for name, text in (("note", status.note), ("progress", status.progress)):
        if text:
            yield f"{name:<{LABEL_COLUMNS}}{printable(text)}"


def list_lines(jobs: Iterable[ActiveJob], *, long: bool = False) -> Iterator[str]:
    """Yield header, rule and a line per unfinished job."""
    yield LIST_HEADER + ("  note" if long else "")
    yield "-" * len(LIST_HEADER)
    for job in jobs:
        yield list_line(job, long=long)


def history_lines(entries: Iterable[HistoryEntry]) -> Iterator[str]:
    """Yield header, rule and a line per finished job."""
    yield HISTORY_HEADER
    yield "-" * len(HISTORY_HEADER)
    for entry in entries:
        yield history_line(entry)


def list_line(job: ActiveJob, *, long: bool = False) -> str:
    """Return the line of an unfinished job; *long* adds the progress of an array and why the job waits."""
    line = _row(job.job_id, job.name, job.state, job.run_system, job.time_submit)
    about = "; ".join(filter(None, (job.progress, job.note)))
    return f"{line}  {printable(about)}".rstrip() if long else line.rstrip()


def history_line(entry: HistoryEntry) -> str:
    """Return the line of a finished job."""
    line = _row(entry.job_id, entry.name, entry.state, entry.system, entry.time_submit)
    return f"{line}{_time(entry.time_start)}{_time(entry.time_finish)}".rstrip()


def _row(job_id: str, name: str, state: JobState, system: str, submitted: datetime | None) -> str:
    shown = right(cut(printable(name), NAME_COLUMNS), NAME_COLUMNS)
    return f"{job_id:>{ID_COLUMNS}}  {shown}{_state_and_system(state.value, system)}{_time(submitted)}"


def _state_and_system(state: str, system: str) -> str:
    """Return the state on the left and the system on the right; long values reduce the indent."""
    spare = STATE_AND_SYSTEM_COLUMNS - len(state) - width(system) - 2
    left = " " * max(2, min(STATE_INDENT, spare)) + state
    return left + right(system, max(STATE_AND_SYSTEM_COLUMNS - len(left), len(system) + 2))


def _time(value: datetime | None) -> str:
    return f"  {local_time(value):<{TIME_COLUMNS}}"
