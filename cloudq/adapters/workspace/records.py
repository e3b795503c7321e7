"""Read the records that job shells leave in the control directory, without trusting any of them.

A record that is missing, incomplete or forged counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from cloudq.adapters.filesystem import read_fields
from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.job_shell import BLOCKED, record_name
from cloudq.domain.jobs.outcome import ExitRecord, StartRecord
from cloudq.domain.names import checked_local_job_id
from cloudq.ports.workspace import TaskRecords

BLOCKED_LOCK = f"local_id={BLOCKED}\n".encode()


def read_task_records(control_dir: Path, task: int | None, present: frozenset[str]) -> TaskRecords:
    """Return the records of one task; only files whose names are in *present* are read."""
    lock = record_name("lock", task)
    holder = read_holder(control_dir / lock) if lock in present else None
    if holder is None or holder == BLOCKED:
        return TaskRecords(holder)
    start = f"{record_name('start', task)}.{holder}"
    end = record_name("exit", task)
    return TaskRecords(
        holder,
        _read_start(control_dir / start, holder) if start in present else None,
        _read_exit(control_dir / end, holder) if end in present else None,
    )


def read_holder(lock: Path) -> str | None:
    """Return the scheduler job id in a lock, `BLOCKED`, or None."""
    fields = read_fields(lock)
    try:
        return None if fields is None else checked_local_job_id(fields.get("local_id", ""))
    except InvalidInput:
        return None


def _read_start(path: Path, holder: str) -> StartRecord | None:
    fields = read_fields(path)
    if fields is None or fields.get("local_id") != holder:
        return None
    return StartRecord(holder, fields.get("host", ""), _time(fields.get("time", "")))


def _read_exit(path: Path, holder: str) -> ExitRecord | None:
    fields = read_fields(path)
    if fields is None or fields.get("local_id") != holder:
        return None
    code = _number(fields, "exit_code")
    if code is None or code > 255:
        return None
    return ExitRecord(
        scheduler_job_id=holder,
        exit_code=code,
        signal=fields.get("signal", "")[:16],
        host=fields.get("host", "")[:255],
        started=_time(fields.get("started", "")),
        finished=_time(fields.get("finished", "")),
    )


def _number(fields: Mapping[str, str], name: str) -> int | None:
    text = fields.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
        return None if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
