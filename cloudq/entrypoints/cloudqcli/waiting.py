"""Waiting for jobs: the progress on a terminal, how they ended, and the exit status."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cloudq.entrypoints.cloudqcli.explanation import show_failure
from cloudq.entrypoints.shared.terminal import PassingLine, show_message, show_progress

if TYPE_CHECKING:
    from cloudq.client import Client
    from cloudq.domain.errors import CloudqError
    from cloudq.domain.jobs.job import Job

FAILED = 1
WAIT_STATUS = {"DONE": 0, "TIMEOUT": 124, "DELETED": 143}
"""The exit statuses of ``--wait``, as timeout(1) and, for a job killed by SIGTERM, as a shell has them."""


def exit_status_of(job: Job) -> int:
    """Return the exit status of a command that waited for *job*."""
    if job.state.value in WAIT_STATUS:
        return WAIT_STATUS[job.state.value]
    code = job.exit_code or 0
    return code if 0 < code < 256 else FAILED


def wait_for_one(client: Client, job_id: str, *, timeout_s: float | None = None, quiet: bool = False) -> Job:
    """Wait for a job, and show its states on a terminal; if it fails, also the end of its log."""
    job = client.wait(job_id, timeout=timeout_s, changed=None if quiet else _show_state)
    if _show_end(job):
        show_failure(client, job)
    return job


def wait_for_several(
    client: Client,
    job_ids: Sequence[str],
    note_problem: Callable[[CloudqError], object],
    *,
    any_of: bool = False,
    timeout_s: float | None = None,
    quiet: bool = False,
) -> tuple[Job, ...]:
    """Wait for jobs, and show on a terminal how many have ended; *note_problem* shows errors about some."""
    statuses: list[int] = []
    line = PassingLine()

    def show_line() -> None:
        failed = len(list(filter(None, statuses)))
        if not quiet:
            line.show(f"{len(statuses)} of {len(job_ids)} jobs have ended, {failed} failed")

    def note_end(job: Job) -> None:
        statuses.append(exit_status_of(job))
        line.erase()
        _show_end(job)
        show_line()

    def show_problem(error: CloudqError) -> None:
        line.erase()
        note_problem(error)
        show_line()

    show_line()
    try:
        return client.wait_all(job_ids, any_of=any_of, timeout=timeout_s, ended=note_end, failed=show_problem)
    finally:
        line.erase()


def _show_state(job: Job) -> None:
    if job.is_final and exit_status_of(job) != 0:
        return  # a message says how it ended
    show_progress(f"Job ({job.uuid}) {job.state.value}")


def _show_end(job: Job) -> bool:
    """Show how the job ended, unless it is DONE; return whether it is not."""
    has_failed = exit_status_of(job) != 0
    if has_failed:
        reason = f": {job.error_msg}" if job.error_msg else ""
        show_message(f"Job ({job.uuid}) ended: {job.state.value}{reason}")
    return has_failed
