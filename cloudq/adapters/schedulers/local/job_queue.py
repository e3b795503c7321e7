"""The queue of the embedded scheduler on disk, which several agents may use at once.

``jobs/<id>/job.json`` appears by one rename and never changes. Beside it are ``cancel`` and, for each
task, what its supervisor leaves. ``ids/`` holds the newest id, so that no id is used twice although
finished jobs are forgotten.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cloudq.adapters.filesystem import create_file, make_private_dir, read_record, replace_file, sync_dir
from cloudq.adapters.schedulers.local.submit import QueuedJob
from cloudq.domain.errors import InvalidInput
from cloudq.domain.jobs.job_shell import record_name
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.array_range import ArrayRange

_MAX_JOB_BYTES = 4 << 20
_TAKEN = frozenset({errno.EEXIST, errno.ENOTEMPTY})


class LocalQueue:
    """The queue in the directory *root*."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._jobs = root / "jobs"
        self._ids = root / "ids"
        self._new = root / "new"

    def job_dir(self, scheduler_job_id: str) -> Path:
        return self._jobs / scheduler_job_id

    def ids(self) -> list[str]:
        """Return all jobs, in the order in which they were submitted."""
        try:
            return [str(n) for n in _numbers(self._jobs)]
        except FileNotFoundError:
            return []

    def names(self, scheduler_job_id: str) -> frozenset[str]:
        """Return the names of a job's files; none if it was forgotten."""
        try:
            return frozenset(os.listdir(self.job_dir(scheduler_job_id)))  # noqa: PTH208 (only names are needed)
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()

    def read(self, scheduler_job_id: str) -> QueuedJob | None:
        """Return the job *scheduler_job_id*; None if it is forgotten or its record is damaged."""
        content = read_record(self.job_dir(scheduler_job_id) / "job.json", _MAX_JOB_BYTES)
        if content is None:
            return None
        try:
            return _structure(json.loads(content))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError, InvalidInput):
            return None

    def add(self, job: QueuedJob, kill_wait_s: float) -> str:
        """Append *job* durably; return its scheduler job id, which no other job ever gets."""
        for directory in (self.root, self._jobs, self._ids, self._new):
            make_private_dir(directory)
        made = Path(tempfile.mkdtemp(dir=self._new))
        try:
            replace_file(made / "job.json", _unstructure(job, kill_wait_s))
            while True:
                scheduler_job_id = str(self._take_id())
                if self._rename(made, self.job_dir(scheduler_job_id)):
                    return scheduler_job_id
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def request_cancel(self, scheduler_job_id: str, task: int | None = None) -> None:
        """Request that the job, or one of its tasks, ends."""
        with suppress(FileNotFoundError):
            create_file(self.job_dir(scheduler_job_id) / record_name("cancel", task), b"")

    def drop(self, scheduler_job_id: str) -> None:
        """Remove a job's files; other processes see either all of them or none."""
        made = Path(tempfile.mkdtemp(dir=self._new))
        with suppress(FileNotFoundError):
            self.job_dir(scheduler_job_id).rename(made / "job")
        shutil.rmtree(made, ignore_errors=True)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Yield whether it is this agent's turn to start tasks.

        Turns only keep slots from being counted twice; the supervisors ensure that each task starts once.
        """
        if not self.root.is_dir():
            yield False
            return
        handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _locked(handle)
        finally:
            os.close(handle)

    def _take_id(self) -> int:
        while True:
            given = [*_numbers(self._ids), *_numbers(self._jobs)]
            mine = max(given, default=0) + 1
            if not create_file(self._ids / str(mine), b""):
                continue
            taken = _numbers(self._ids)
            if taken[-1] == mine:  # otherwise this id was given and deleted since the listing
                self._tidy(taken[:-1])
                return mine

    def _tidy(self, older: list[int]) -> None:
        for n in older:
            (self._ids / str(n)).unlink(missing_ok=True)

    def _rename(self, made: Path, final: Path) -> bool:
        try:
            made.rename(final)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        sync_dir(self._jobs)
        return True


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in {errno.EWOULDBLOCK, errno.EACCES}  # a disk without locks: continue
    return True


def _numbers(directory: Path) -> list[int]:
    names = os.listdir(directory)  # noqa: PTH208 (only names are needed)
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _unstructure(job: QueuedJob, kill_wait_s: float) -> bytes:
    fields = {
        "format": "1.0",
        "tag": str(job.tag),
        "job_shell": str(job.job_shell),
        "work_dir": str(job.work_dir),
        "control_dir": str(job.control_dir),
        "array": None if job.array is None else str(job.array),
        "slots": job.slots,
        "limit_s": job.limit_s,
        "kill_wait_s": kill_wait_s,
    }
    return json.dumps(fields).encode()


def _structure(fields: dict[str, str]) -> QueuedJob:
    return QueuedJob(
        tag=ClaimTag.parse(fields["tag"]),
        job_shell=Path(fields["job_shell"]),
        work_dir=Path(fields["work_dir"]),
        control_dir=Path(fields["control_dir"]),
        array=ArrayRange.parse(str(fields["array"])) if fields["array"] else None,
        slots=int(fields["slots"]),
        limit_s=int(fields["limit_s"]) if fields["limit_s"] else None,
    )
