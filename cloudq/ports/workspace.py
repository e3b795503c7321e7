"""The agent's own directory on this machine: work directories and what lies beside them.

Layout (protocol 4.2): the script runs in ``cache/<id>`` (``<id>.<n>`` from the second claim on);
cloudq's own files of a claim lie under ``cache/.cloudq/<id>.<n>/``. Everything that a hand-over
needs is made in ``cache/.cloudq/.making.<id>.<n>.<epoch>.<nonce>/`` and gets its name by one rename
that never replaces anything (protocol 4.9).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from attrs import frozen

from cloudq.domain.jobs.contents import NOTHING, Contents
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.outcome import ExitRecord, StartRecord
from cloudq.domain.names import ClaimTag
from cloudq.ports.batch_scheduler import AttemptFiles


@frozen
class SpaceOwner:
    """Whose claim a space belongs to; a space that names another is refused."""

    system: str
    tag: ClaimTag
    nonce: str
    """The claim's."""


@frozen
class Attempt:
    """One intent to submit, recorded before the submit command was started."""

    number: int
    command: str
    time_limit_s: float
    begun_at: float
    """`Clock.elapsed` of the boot *boot_id*."""
    boot_id: str
    process: str
    """The process that runs the submit command, as `Workspace.is_process_gone` judges it."""


@frozen
class TaskRecords:
    """What one task's job shell left."""

    holder: str | None = None
    """The local job id in the lock, `job_shell.BLOCKED`, or None without a lock."""
    start: StartRecord | None = None
    """The start record of the holder."""
    exit: ExitRecord | None = None


@frozen
class FirstMiss:
    """The first successful query that did not show a job."""

    boot_id: str
    at: float


PutArchive = Callable[[int, Iterator[bytes], int], int]
"""Takes an archive's number, counted from 1, its bytes, and a guess from above at how many there are.

Returns how many there were.
"""


@frozen
class LostFiles:
    """Files of a claim that somebody removed before it had ended."""

    has_work_dir: bool
    """Whether only cloudq's own files went, and the work directory is still the job's."""


@frozen
class PackedOutput:
    """What was packed of a work directory's new and changed files."""

    size: int
    """Bytes of all archives; 0 and no archive when there was nothing to pack."""
    contents: Contents
    archives: int
    left_out: tuple[str, ...] = ()
    """Sockets, links that lead outside and the like, with the reason; of very many a part."""
    left_out_count: int = 0


NO_OUTPUT = PackedOutput(0, NOTHING, 0)


def go_on() -> None:
    """Nothing speaks against going on."""


class Making(Protocol):
    """The files of a claim while they are made, in a directory that nobody else writes to.

    Methods raise `WorkspaceFull` when there is no space left. Those that may take long call
    *check* again and again, which raises what is to end them.
    """

    @property
    def archive(self) -> Path:
        """Where the input archive is downloaded to."""
        ...

    @property
    def job_shell(self) -> Path:
        """Where the job shell is while it is made."""
        ...

    def create(self, owner: SpaceOwner) -> None:
        """Make the directory for *owner*."""
        ...

    def install_script(self, name: str, body: bytes) -> Path:
        """Write the user's script, executable, into the work directory to be."""
        ...

    def install_job_shell(self, text: str) -> None:
        """Write the job shell."""
        ...

    def install_tools(self) -> Path:
        """Put the commands that meta jobs call beside the work directory."""
        ...

    def keep_options(self, options: Sequence[str]) -> None:
        """Keep the words for the submit command, so that a later attempt has the same."""
        ...

    def kept_options(self) -> tuple[str, ...]:
        """The words kept. Raises `WorkspaceProblem` if there are none."""
        ...

    def require_room(self, needed: int) -> None:
        """Raise `WorkspaceFull` unless that many bytes fit on the disk, and a reserve besides."""
        ...

    def extract_input(self, promised: Contents | None, check: Callable[[], object] = go_on) -> None:
        """Extract the input archive into the work directory to be, and remove the archive.

        Raises `ArchiveRejected` for one that would leave it or holds more than was *promised*.
        """
        ...

    def note_baseline(self) -> None:
        """Remember the work directory's files as they are, once: they are no output."""
        ...

    def publish(self) -> None:
        """Give everything its name, all at once.

        Raises `WorkspaceProblem` if the claim has files already, which stay as they are.
        """
        ...

    def discard(self) -> None:
        """Remove what was not published."""
        ...


class ClaimSpace(Protocol):
    """The files of one claim. Methods raise `WorkspaceFull` when there is no space left."""

    @property
    def tag(self) -> ClaimTag: ...
    @property
    def work_dir(self) -> Path: ...
    @property
    def control_dir(self) -> Path: ...
    @property
    def tools_dir(self) -> Path:
        """Where the commands that meta jobs call are, if they were installed."""
        ...

    @property
    def job_shell(self) -> Path:
        """The one of the first attempt to submit."""
        ...

    @property
    def archive(self) -> Path:
        """Where an output archive is packed."""
        ...

    def owner(self) -> SpaceOwner | None:
        """Whose it is; None if it does not exist here."""
        ...

    def create(self, owner: SpaceOwner) -> None:
        """Make it for *owner*, or finish its work directory; nothing happens if all is there.

        Raises `WorkspaceProblem` if it is another's, `WorkDirOccupied` if the work directory is: then
        the control directory is made.
        """
        ...

    def making(self, name: str) -> Making:
        """Where its files are made before they are published, apart from those under other names."""
        ...

    def is_prepared(self) -> bool:
        """Whether everything that a hand-over needs is there."""
        ...

    def job_shell_for(self, attempt: int) -> Path:
        """The job shell that says that it belongs to *attempt*, made from the one of the first."""
        ...

    def kept_options(self) -> tuple[str, ...]:
        """The words kept. Raises `WorkspaceProblem` if there are none."""
        ...

    def attempts(self) -> tuple[Attempt, ...]:
        """All attempts to submit, in order."""
        ...

    def begin_attempt(self, number: int, command: str, time_limit_s: float) -> AttemptFiles:
        """Record an intent, exclusively and durably. Raises `WorkspaceProblem` if it exists."""
        ...

    def attempt_files(self, number: int) -> AttemptFiles:
        """Where attempt *number* leaves what the submit command printed."""
        ...

    def fingerprint(self) -> Hashable:
        """A value that differs once a lock, start or exit record has changed."""
        ...

    def records(self, tasks: Sequence[int | None]) -> Mapping[int | None, TaskRecords]:
        """Locks, start and exit records of *tasks*, the directory listed anew."""
        ...

    def block(self, task: int | None) -> str:
        """Take the lock so that no submission may start the task; return who holds it now.

        `job_shell.BLOCKED`, or the local job id of a job shell that was first (protocol 4.7).
        """
        ...

    def first_miss(self) -> FirstMiss | None:
        """The noted first query that did not show the job, if any."""
        ...

    def note_miss(self, miss: FirstMiss | None) -> None:
        """Note it durably; None: the job was seen again."""
        ...

    def log_path(self, stream: str, task: int | None) -> Path:
        """Where ``stdout`` or ``stderr`` of a task is, whether it exists yet or not."""
        ...

    def log_size(self, stream: str, task: int | None) -> int:
        """The bytes of a log; 0 if it is absent, or is no file that the job's own shell wrote."""
        ...

    def log_pieces(self, stream: str, task: int | None) -> Iterator[bytes]:
        """The whole log in pieces; nothing where `log_size` says 0. Raises `WorkspaceProblem`."""
        ...

    def read_log(self, stream: str, task: int | None, offset: int, limit: int) -> bytes:
        """At most *limit* bytes of a log from *offset* on; nothing if it is not there yet."""
        ...

    def pack_output(self, put: PutArchive) -> PackedOutput:
        """Hand what is new or changed since the baseline to *put*, in as many archives as it takes.

        Raises what *put* raises, and `WorkDirGone` if somebody removed the work directory.
        """
        ...

    def rebuild(self, owner: SpaceOwner) -> None:
        """Make the control directory anew after it was removed; the work directory too if it is gone.

        Nothing of a file system that is not mounted is taken for removed: raises `WorkspaceProblem`.
        """
        ...

    def lost(self) -> LostFiles | None:
        """What `rebuild` noted; None if the files are those that were made."""
        ...

    def take_lock(self, task: int | None, local_id: str) -> str:
        """Take a task's lock for the local job that is known to run it; return who holds it now."""
        ...

    def touch(self) -> None:
        """Make the access times of its files new, of a bounded number; contents and marks stay."""
        ...

    def keep_job(self, job: Job) -> None:
        """Keep a copy of the record, for the case that the bucket loses it."""
        ...

    def kept_job(self) -> Job | None:
        """The copy; None if there is none that can be read."""
        ...

    def is_staged_out(self) -> bool:
        """Whether `note_staged_out` was called."""
        ...

    def note_staged_out(self) -> None:
        """The bucket confirmed everything: the space may go after its time."""
        ...

    def remove(self) -> None:
        """Remove the work directory and everything of the claim."""
        ...


class Workspace(Protocol):
    """All claims' spaces under one home directory."""

    @property
    def home(self) -> str:
        """The random id of this home, made once."""
        ...

    def space(self, tag: ClaimTag) -> ClaimSpace:
        """The space of a claim, whether it exists or not."""
        ...

    def note_start(self, tag: ClaimTag, submission: str) -> None:
        """Note durably, apart from the space, that *tag* of *submission* goes to the scheduler now."""
        ...

    def started_at(self, tag: ClaimTag, submission: str) -> datetime | None:
        """When `note_start` was called for *tag* of *submission*, within a year; None if never.

        Raises `WorkspaceProblem` if it cannot be known.
        """
        ...

    def is_process_gone(self, process: str) -> bool:
        """Whether a process recorded in an `Attempt` has certainly ended."""
        ...

    def unfinished(self) -> tuple[ClaimTag, ...]:
        """The claims of which there is a space that was not staged out."""
        ...

    def remove_expired(
        self, keep_s: float, in_use: Callable[[], Collection[str]] = tuple
    ) -> tuple[ClaimTag, ...]:
        """Remove spaces staged out longer than *keep_s* ago; return their tags.

        Those stay whose work directory holds a directory that is *in_use*, which is asked at most once,
        and only where there is a space to be removed; what it raises is passed on.
        """
        ...

    def remove_unpublished(self, system: str, epoch: int) -> None:
        """Remove what agents of *system* made under other epochs than *epoch* and did not publish.

        The name of each `ClaimSpace.making` begins with the epoch and a dot.
        """
        ...
