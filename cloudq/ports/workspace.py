"""The agent's home on this machine: work directories and the files beside them.

Layout (protocol 4.2): the script runs in ``cache/<id>`` (``<id>.<n>`` from the second claim on); cloudq's
own files of a claim are under ``cache/.cloudq/<id>.<n>/``. Everything that a hand-over needs is made in
``cache/.cloudq/.making.<id>.<n>.<epoch>.<nonce>/`` and gets its name by one rename that never replaces
anything (protocol 4.9).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from attrs import frozen

from cloudq.domain.jobs.contents import NOTHING, Contents
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_shell import JobShellPlan, ShellDialect
from cloudq.domain.jobs.outcome import ExitRecord, StartRecord
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.ports.batch_scheduler import AttemptFiles


@frozen
class SpaceOwner:
    """The claim to which a space belongs; a space that names another claim is rejected."""

    system: str
    tag: ClaimTag
    nonce: str
    """The nonce of the claim."""


@frozen
class Attempt:
    """One intent to submit, recorded before the submit command was started."""

    number: int
    command: str
    time_limit_s: float
    begun_at: float
    """The time of `Clock.elapsed` in the boot *boot_id*."""
    boot_id: str
    process: str
    """The process that runs the submit command, as `Workspace.is_process_gone` judges it."""


@frozen
class TaskRecords:
    """The files that the job shell of one task left."""

    holder: str | None = None
    """The scheduler job id in the lock, `job_shell.BLOCKED`, or None without a lock."""
    start: StartRecord | None = None
    """The start record of the holder."""
    exit: ExitRecord | None = None


@frozen
class FirstMiss:
    """The first successful query that did not show a job."""

    boot_id: str
    at: float


PutArchive = Callable[[int, Iterator[bytes], int], int]
"""A function that takes an archive's number, counted from 1, its bytes, and an upper estimate of its size.

It returns the actual size in bytes.
"""


@frozen
class LostFiles:
    """The files of a claim that someone removed before the claim had ended."""

    has_work_dir: bool
    """Whether only cloudq's own files are gone, and the work directory is still the job's."""


@frozen
class PackedOutput:
    """The archives of the new and changed files of a work directory."""

    size: int
    """Bytes of all archives; 0, and no archive, if there was nothing to pack."""
    contents: Contents
    archives: int
    left_out: tuple[str, ...] = ()
    """Sockets, links that lead outside and the like, with reasons; only a part of very many."""
    left_out_count: int = 0


NO_OUTPUT = PackedOutput(0, NOTHING, 0)


def go_on() -> None:
    """Do nothing: there is no reason to stop."""


class Making(Protocol):
    """The files of a claim while they are made, in a directory to which no other process writes.

    Methods raise `WorkspaceFull` if no space is left. Those that may take long call *check* repeatedly; an
    exception from it ends them.
    """

    @property
    def archive(self) -> Path:
        """The path to which the input archive is downloaded."""
        ...

    def create(self, owner: SpaceOwner) -> None:
        """Make the directory for *owner*."""
        ...

    def install_script(self, name: str, body: bytes) -> Path:
        """Write the user's script, executable, into the future work directory."""
        ...

    def install_job_shell(self, plan: JobShellPlan, dialect: ShellDialect) -> None:
        """Write the job shell of the first attempt, for the scheduler that *dialect* describes."""
        ...

    def install_tools(self) -> Path:
        """Install the commands that meta jobs call, beside the work directory."""
        ...

    def keep_options(self, options: Sequence[str]) -> None:
        """Store the words for the submit command, so that a later attempt uses the same ones."""
        ...

    def require_room(self, needed: int) -> None:
        """Raise `WorkspaceFull` unless the disk has room for *needed* bytes and a reserve."""
        ...

    def extract_input(self, promised: Contents | None, check: Callable[[], object] = go_on) -> None:
        """Extract the input archive into the future work directory, and remove the archive.

        Raises `ArchiveRejected` for an archive that would leave the directory or contains more than was
        *promised*.
        """
        ...

    def note_baseline(self) -> None:
        """Record the files that the work directory has now, once: they are not outputs."""
        ...

    def publish(self) -> None:
        """Give all files their final names at once.

        Raises `WorkspaceProblem` if the claim has files already, which stay as they are.
        """
        ...

    def discard(self) -> None:
        """Remove everything that was not published."""
        ...


class ClaimSpace(Protocol):
    """The files of one claim. Methods raise `WorkspaceFull` if no space is left."""

    @property
    def tag(self) -> ClaimTag: ...
    @property
    def work_dir(self) -> Path: ...
    @property
    def control_dir(self) -> Path: ...
    @property
    def tools_dir(self) -> Path:
        """The directory of the commands that meta jobs call, if they were installed."""
        ...

    @property
    def job_shell(self) -> Path:
        """The job shell of the first attempt."""
        ...

    @property
    def archive(self) -> Path:
        """The path at which an output archive is packed."""
        ...

    def owner(self) -> SpaceOwner | None:
        """Return the owner of the space; None if the space does not exist here."""
        ...

    def create(self, owner: SpaceOwner) -> None:
        """Make the space for *owner*, or complete its work directory; do nothing if everything exists.

        Raises `WorkspaceProblem` if the space belongs to another claim, and `WorkDirOccupied` if the work
        directory does: then the control directory is made.
        """
        ...

    def making(self, name: str) -> Making:
        """Return the place where files are made before they are published; each *name* has its own."""
        ...

    def is_prepared(self) -> bool:
        """Return whether everything that a hand-over needs exists."""
        ...

    def read_job_shell(self) -> Jobscript | None:
        """Return the job shell of the first attempt; None if it was removed.

        Raises `WorkspaceProblem` if it cannot be read.
        """
        ...

    def job_shell_for(self, attempt: int) -> Path:
        """Return the job shell with the number of *attempt*, made from the one of the first attempt."""
        ...

    def kept_options(self) -> tuple[str, ...]:
        """Return the stored words. Raises `WorkspaceProblem` if there are none."""
        ...

    def attempts(self) -> tuple[Attempt, ...]:
        """Return all attempts, in order."""
        ...

    def begin_attempt(self, number: int, command: str, time_limit_s: float) -> AttemptFiles:
        """Record an intent, exclusively and durably. Raises `WorkspaceProblem` if it exists."""
        ...

    def attempt_files(self, number: int) -> AttemptFiles:
        """Return the files in which attempt *number* leaves the output of the submit command."""
        ...

    def fingerprint(self) -> Hashable:
        """Return a value that differs once a lock, start record or exit record has changed."""
        ...

    def records(self, tasks: Sequence[int | None]) -> Mapping[int | None, TaskRecords]:
        """Return locks, start and exit records of *tasks*, from a new listing of the directory."""
        ...

    def block(self, task: int | None) -> str:
        """Take the lock so that no submission may start the task; return the current holder.

        This is `job_shell.BLOCKED`, or the scheduler job id of a job shell that was first (protocol 4.7).
        """
        ...

    def first_miss(self) -> FirstMiss | None:
        """Return the noted first query that did not show the job, if any."""
        ...

    def note_miss(self, miss: FirstMiss | None) -> None:
        """Note *miss* durably; None means that the job was seen again."""
        ...

    def log_path(self, stream: str, task: int | None) -> Path:
        """Return the path of ``stdout`` or ``stderr`` of a task, whether the file exists yet or not."""
        ...

    def log_size(self, stream: str, task: int | None) -> int:
        """Return the bytes of a log; 0 if it is absent, or not a file that the job's own shell wrote."""
        ...

    def log_pieces(self, stream: str, task: int | None) -> Iterator[bytes]:
        """Yield the whole log in pieces; nothing if `log_size` returns 0. Raises `WorkspaceProblem`."""
        ...

    def read_log(self, stream: str, task: int | None, offset: int, limit: int) -> bytes:
        """Return at most *limit* bytes of a log from *offset* on; nothing if it does not exist yet."""
        ...

    def pack_output(self, put: PutArchive) -> PackedOutput:
        """Pass what is new or changed since the baseline to *put*, in as many archives as needed.

        Raises what *put* raises, and `WorkDirGone` if someone removed the work directory.
        """
        ...

    def rebuild(self, owner: SpaceOwner) -> None:
        """Make the control directory again after it was removed, and the work directory if it is gone, too.

        Files on a file system that is not mounted do not count as removed: raises `WorkspaceProblem`.
        """
        ...

    def lost(self) -> LostFiles | None:
        """Return what `rebuild` noted; None if the files are the original ones."""
        ...

    def take_lock(self, task: int | None, scheduler_job_id: str) -> str:
        """Take a task's lock for the scheduler job that is known to run it; return the current holder."""
        ...

    def touch(self) -> None:
        """Renew the access times of a bounded number of its files; contents and modification times stay."""
        ...

    def keep_job(self, job: Job) -> None:
        """Store a copy of the record, in case the bucket loses it."""
        ...

    def kept_job(self) -> Job | None:
        """Return the copy; None if there is none that can be read."""
        ...

    def is_staged_out(self) -> bool:
        """Return whether `note_staged_out` was called."""
        ...

    def note_staged_out(self) -> None:
        """Record that the bucket confirmed everything, so that the space may be removed after its time."""
        ...

    def remove(self) -> None:
        """Remove the work directory and everything of the claim."""
        ...


class Workspace(Protocol):
    """The spaces of all claims under one home directory."""

    @property
    def home(self) -> str:
        """The random id of this home, which is made once."""
        ...

    def space(self, tag: ClaimTag) -> ClaimSpace:
        """Return the space of a claim, whether it exists or not."""
        ...

    def note_start(self, tag: ClaimTag, submission: str) -> None:
        """Note durably, apart from the space, that *tag* of *submission* is now being submitted."""
        ...

    def started_at(self, tag: ClaimTag, submission: str) -> datetime | None:
        """Return when `note_start` was called for *tag* of *submission*, within a year; None if never.

        Raises `WorkspaceProblem` if this cannot be known.
        """
        ...

    def is_process_gone(self, process: str) -> bool:
        """Return whether a process recorded in an `Attempt` has certainly ended."""
        ...

    def unfinished(self) -> tuple[ClaimTag, ...]:
        """Return the claims with a space that was not staged out."""
        ...

    def remove_expired(
        self, keep_s: float, in_use: Callable[[], Collection[str]] = tuple
    ) -> tuple[ClaimTag, ...]:
        """Remove spaces that were staged out longer than *keep_s* ago; return their tags.

        A space stays if its work directory contains a directory that is *in_use*. This function is called
        at most once, and only if there is a space to be removed; its exceptions are passed on.
        """
        ...

    def remove_unpublished(self, system: str, epoch: int) -> None:
        """Remove what agents of *system* made under epochs other than *epoch* and did not publish.

        The name of each `ClaimSpace.making` begins with the epoch and a dot.
        """
        ...
