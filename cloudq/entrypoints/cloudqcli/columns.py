"""The columns of the tables of jobs, and the colours of states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cloudq.entrypoints.shared.columns import Column

if TYPE_CHECKING:
    from cloudq.domain.jobs.history import HistoryEntry
    from cloudq.domain.jobs.job_state import JobState
    from cloudq.domain.jobs.summary import ActiveJob

STYLES = {
    "INIT": "yellow",
    "READY": "cyan",
    "RUN": "green",
    "COMPLETING": "green",
    "DELETING": "magenta",
    "DONE": "blue",
    "ERROR": "bold red",
    "TIMEOUT": "red",
    "DELETED": "magenta",
    "alive": "green",
    "away": "bold red",
    "stopped": "yellow",
    "unknown": "magenta",
}
"""The colour of each state of a job or agent; the text always names the state, too."""

NAME_COLUMNS = 16
"""The least width of names that are longer."""


def state_style(item: Any) -> str:
    return STYLES.get(item.state.value, "")


def dim(_: Any) -> str:
    return "dim"


def _state_and_progress(job: ActiveJob) -> str:
    return f"{job.state.value} {job.progress}".rstrip()


def counted(by_state: Mapping[JobState, int]) -> str:
    """Return how many jobs are in each state: ``39 DONE, 3 ERROR``."""
    order = {name: index for index, name in enumerate(STYLES)}
    states = sorted(by_state, key=lambda state: order[state.value])
    return ", ".join(f"{by_state[state]} {state.value}" for state in states)


def place(run_system: str, invited: Sequence[str]) -> str:
    """Return the system of a job, or the systems for which it waits."""
    return run_system or (f"for: {', '.join(invited)}" if invited else "")


JOB_COLUMNS: Sequence[Column[ActiveJob]] = (
    Column("id", lambda job: job.job_id),
    Column("name", lambda job: job.name, least=NAME_COLUMNS),
    Column(
        "state", lambda job: job.state.value, words=_state_and_progress, style=state_style, least=25
    ),
    Column("progress", lambda job: job.progress, is_default=False),
    Column(
        "system", lambda job: job.run_system, words=lambda job: place(job.run_system, job.invited),
        least=12, rank=2,
    ),
    Column("invited", lambda job: job.invited, is_default=False, least=12),
    Column("jobid", lambda job: job.jobid, is_default=False, least=8),
    Column("submitted", lambda job: job.time_submit, rank=1),
    Column("ready", lambda job: job.time_ready, is_default=False),
    Column("started", lambda job: job.time_start, rank=6),
    Column("labels", lambda job: job.labels, least=8, rank=7),
    Column("note", lambda job: job.note, style=dim, least=24, rank=3, is_note=True),
)  # fmt: skip
"""The columns of `list`."""

HISTORY_COLUMNS: Sequence[Column[HistoryEntry]] = (
    Column("id", lambda entry: entry.job_id),
    Column("name", lambda entry: entry.name, least=NAME_COLUMNS),
    Column("state", lambda entry: entry.state.value, style=state_style),
    Column("exit", lambda entry: entry.exit_code, rank=1, is_number=True),
    Column("system", lambda entry: entry.system, least=8, rank=2),
    Column("waited", lambda entry: entry.waited, rank=4),
    Column("ran", lambda entry: entry.ran, rank=3),
    Column("submitted", lambda entry: entry.time_submit, rank=6),
    Column("ready", lambda entry: entry.time_ready, is_default=False),
    Column("started", lambda entry: entry.time_start, rank=7),
    Column("finished", lambda entry: entry.time_finish, rank=5),
    Column("labels", lambda entry: entry.labels, least=8, rank=8),
)
"""The columns of `history`."""
