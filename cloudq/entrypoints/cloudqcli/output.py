"""Records for JSON, with times in UTC (ISO 8601) and the names that ``stat`` shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from cloudq.application.client.query_jobs import JobStatus
    from cloudq.application.shared.list_agents import AgentReport
    from cloudq.domain.jobs.history import HistoryEntry
    from cloudq.domain.jobs.job import Job
    from cloudq.domain.jobs.summary import ActiveJob

T = TypeVar("T")

_ORIGINAL_FIELDS = (
    "uuid", "jobid", "name", "jobscript_type", "hold_jid", "array_tid", "submit_to", "submit_opt",
    "state", "workdir", "run_system", "local_account", "local_group", "submit_command",
    "time_submit", "time_receive", "time_ready", "time_start", "time_stageout_start",
    "time_stageout_finish", "time_finish", "size_input", "size_output", "error_msg",
    "submit_opt_local", "local_name",
)  # fmt: skip
"""The fields of a job that the original shows, in its order; other fields come last."""

STAT_FIELDS = (
    *_ORIGINAL_FIELDS, "exit_code", "tasks", "placement", "hold_ok_jid", "remarks", "output_files",
    "output_bytes", "left_out",
)  # fmt: skip
"""The fields of a job that ``stat`` shows."""

OPTIONAL_STAT_FIELDS = ("script_file", "labels", "arguments", "environment", "outputs")
"""The fields of a job that ``stat`` shows after the others if they have a value."""

_JOB_FIELDS = (
    *_ORIGINAL_FIELDS, "exit_code", "placement", "hold_ok_jid", "invited", "has_input", "claim", "client",
    "remarks", "input_files", "input_bytes", "output_files", "output_bytes", "output_archives", "left_out",
    "left_out_count", "script_file", "labels", "arguments", "has_task_arguments", "environment", "outputs",
)  # fmt: skip

_AGENT_FIELDS = (
    "system", "state", "since", "last_beat_s", "version", "host", "profile", "scheduler", "jobs_held",
    "jobs_waiting", "store_check", "last_error", "busy",
)  # fmt: skip


def begun(items: Iterable[T]) -> Iterator[T]:
    """Return the same items, with the first one fetched already."""
    iterator = iter(items)
    return chain(tuple(islice(iterator, 1)), iterator)


def job_record(job: Job) -> dict[str, Any]:
    """Return everything about one job except cloudq's own bookkeeping."""
    record = {name: _value(getattr(job, name)) for name in _JOB_FIELDS}
    record["tasks"] = [
        {
            "ids": str(group.ids),
            "state": group.state.value,
            "exit_code": group.exit_code,
            "reason": group.reason,
        }
        for group in job.tasks.groups
    ]
    record["changes"] = [
        {"state": change.state.value, "time": _value(change.time), "reason": change.reason}
        for change in job.changes
    ]
    return record


def status_record(status: JobStatus) -> dict[str, Any]:
    """Return everything about one job, with what its agent reports until its record is written again."""
    now = {"note": status.note, "progress": status.progress, "tasks_behind_s": status.behind_s}
    return job_record(status.job) | now


def active_record(job: ActiveJob) -> dict[str, Any]:
    """Return the record of one unfinished job."""
    return {
        "uuid": job.job_id,
        "name": job.name,
        "state": job.state.value,
        "run_system": job.run_system,
        "time_submit": _value(job.time_submit),
        "note": job.note,
        "progress": job.progress,
        "labels": list(job.labels),
        "invited": list(job.invited),
        "jobid": job.jobid,
        "time_ready": _value(job.time_ready),
        "time_start": _value(job.time_start),
    }


def agent_record(agent: AgentReport) -> dict[str, Any]:
    """Return the record of one system's agent."""
    record = {name: _value(getattr(agent, name)) for name in _AGENT_FIELDS}
    seconds = agent.last_beat_s
    return {**record, "last_beat_s": None if seconds is None else round(seconds, 1)}


def history_records(entries: Iterable[HistoryEntry]) -> Iterator[dict[str, Any]]:
    """Yield the records of finished jobs."""
    for entry in entries:
        yield {
            "uuid": entry.job_id,
            "name": entry.name,
            "state": entry.state.value,
            "run_system": entry.system,
            "time_submit": _value(entry.time_submit),
            "time_start": _value(entry.time_start),
            "time_finish": _value(entry.time_finish),
            "exit_code": entry.exit_code,
            "labels": list(entry.labels),
            "time_ready": _value(entry.time_ready),
            "waited_s": _seconds(entry.waited),
            "ran_s": _seconds(entry.ran),
        }


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()


def _value(value: Any) -> Any:
    """Return a field as JSON represents it; values of types that JSON lacks become text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    return str(getattr(value, "value", value))
