"""Tables and lists for people, with the columns of the original CloudQ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cloudq.entrypoints.shared.terminal import cut, printable, right, width

if TYPE_CHECKING:
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


def _plain(value: object) -> str:
    return "" if value is None else str(value)


def local_time(value: datetime | None) -> str:
    """Return a time in this machine's time zone; on the first and last days of the calendar, in UTC."""
    if value is None:
        return ""
    try:
        value = value.astimezone()
    except (OverflowError, ValueError):  # the local time is in the year 0 or 10000
        value = value.astimezone(UTC)
    return value.strftime("%Y/%m/%d %H:%M:%S")


def _tasks(job: Job) -> str:
    groups = (f"{group.ids} {_end(group.state, group.exit_code)}" for group in job.tasks.groups)
    return "; ".join(groups)


def _end(state: JobState, exit_code: int | None) -> str:
    return state.value if exit_code is None else f"{state.value} {exit_code}"


_STAT: tuple[tuple[str, Callable[[Job], str]], ...] = (
    ("uuid", lambda job: job.uuid),
    ("jobid", lambda job: job.jobid),
    ("name", lambda job: job.name),
    ("jobscript_type", lambda job: job.jobscript_type),
    ("hold_jid", lambda job: ",".join(job.hold_jid)),
    ("array_tid", lambda job: _plain(job.array_tid)),
    ("submit_to", lambda job: job.submit_to),
    ("submit_opt", lambda job: job.submit_opt),
    ("state", lambda job: job.state.value),
    ("workdir", lambda job: job.workdir),
    ("run_system", lambda job: job.run_system),
    ("local_account", lambda job: job.local_account),
    ("local_group", lambda job: job.local_group),
    ("submit_command", lambda job: job.submit_command),
    ("time_submit", lambda job: local_time(job.time_submit)),
    ("time_receive", lambda job: local_time(job.time_receive)),
    ("time_ready", lambda job: local_time(job.time_ready)),
    ("time_start", lambda job: local_time(job.time_start)),
    ("time_stageout_start", lambda job: local_time(job.time_stageout_start)),
    ("time_stageout_finish", lambda job: local_time(job.time_stageout_finish)),
    ("time_finish", lambda job: local_time(job.time_finish)),
    ("size_input", lambda job: _plain(job.size_input)),
    ("size_output", lambda job: _plain(job.size_output)),
    ("error_msg", lambda job: job.error_msg),
    ("submit_opt_local", lambda job: job.submit_opt_local),
    ("local_name", lambda job: job.local_name),
    # Fields that the original does not show come last.
    ("exit_code", lambda job: _plain(job.exit_code)),
    ("tasks", _tasks),
    ("placement", lambda job: job.placement),
    ("hold_ok_jid", lambda job: ",".join(job.hold_ok_jid)),
    ("remarks", lambda job: "; ".join(job.remarks)),
    ("output_files", lambda job: _plain(job.output_files)),
    ("output_bytes", lambda job: _plain(job.output_bytes)),
    ("left_out", lambda job: "; ".join(job.left_out)),
)


def stat_lines(job: Job) -> Iterator[str]:
    """Yield a line for every field of a job; an empty field is shown as its label only."""
    for label, text_of in _STAT:
        yield f"{label:<{LABEL_COLUMNS}}{printable(text_of(job))}".rstrip()


def list_header(*, long: bool = False) -> Iterator[str]:
    """Yield header and rule of the list of unfinished jobs."""
    yield LIST_HEADER + ("  note" if long else "")
    yield "-" * len(LIST_HEADER)


def history_header() -> Iterator[str]:
    """Yield header and rule of the list of finished jobs."""
    yield HISTORY_HEADER
    yield "-" * len(HISTORY_HEADER)


def list_line(job: ActiveJob, *, long: bool = False) -> str:
    """Return the line of an unfinished job; *long* adds why it waits."""
    line = _row(job.job_id, job.name, job.state, job.run_system, job.time_submit)
    return f"{line}  {printable(job.note)}".rstrip() if long else line.rstrip()


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
