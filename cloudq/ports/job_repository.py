"""The jobs in the bucket, in terms of the domain; protocol.md defines who writes what, in which order.

Besides the errors that each method names, all may raise `StoreUnavailable` and `StoreRefused`. A record
that cannot be read raises `RecordRejected` (`NewerFormat` for a newer major format).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen

from cloudq.domain.jobs.arguments import Words
from cloudq.domain.jobs.claim import Claim
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job import Job, StoredJob
from cloudq.domain.jobs.wanted_files import ALL_FILES, WantedFiles
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.ports.object_store import forget_progress


@frozen
class ClaimResult:
    """The claim that exists under a number, and whether this call created it."""

    claim: Claim
    is_ours: bool


@frozen
class QueueEntry:
    """A queue entry, which invites a system to take a job or shows that the system holds it.

    A follow request is represented in the same way.
    """

    tag: ClaimTag
    age_s: float
    """Seconds since the entry was written, by the store's clock."""


@frozen(order=True)
class TaskRequest:
    """A request for one task of an array job."""

    tag: ClaimTag
    task: int


@frozen
class QueueListing:
    """The contents of one system's queue."""

    queue_entries: tuple[QueueEntry, ...] = ()
    cancels: tuple[ClaimTag, ...] = ()
    task_cancels: tuple[TaskRequest, ...] = ()
    follows: tuple[QueueEntry, ...] = ()
    refreshes: tuple[ClaimTag, ...] = ()
    rest_after: str = ""
    """The place after which the next listing continues; empty if this listing is complete."""


def keep_none(_: HistoryEntry) -> bool:
    """Keep no entry."""
    return False


INPUT_ARCHIVE = "input.zip"


def output_archive(number: int) -> str:
    """Return the file name of one of the archives of a job's outputs, counted from 1."""
    return "output.zip" if number == 1 else f"output.{number:d}.zip"


@frozen
class Downloaded:
    """The files that were written, and the problems with archives, in words."""

    files: Sequence[Path]
    problems: tuple[str, ...] = ()


def leave_as_it_is(_: Path) -> None:
    """Leave the downloaded files unchanged."""


def forget_transfer(_done: int, _total: int) -> None:
    """Ignore the progress of a transfer of several files."""


class JobRepository(Protocol):
    """Manifests, claims and the history."""

    def reserve(self, job: Job) -> StoredJob:
        """Create the manifest, which reserves the id.

        Raises `JobIdTaken`, and `OutcomeUnknown` if it cannot be known which process created it. A nonce
        that *job* already has is kept, so the call may be repeated with the same job.
        """
        ...

    def load(self, job_id: str) -> StoredJob:
        """Read a manifest. Raises `JobNotFound`."""
        ...

    def load_if_changed(self, known: StoredJob) -> StoredJob:
        """Read the manifest again; return *known* itself if nothing changed. Raises `JobNotFound`."""
        ...

    def ids_beginning(self, text: str, most: int) -> Sequence[str]:
        """Return ids of jobs that begin with *text*, in order, *most* of them at most.

        Jobs whose deletion or submission was interrupted are among them.
        """
        ...

    def replace(self, known: StoredJob, job: Job) -> StoredJob:
        """Rewrite the manifest that *known* was read from. Raises `RecordChanged`."""
        ...

    def put_again(self, job: Job) -> StoredJob:
        """Create the manifest of *job*, which the store has lost. Raises `RecordChanged` if there is one."""
        ...

    def create_claim(self, job_id: str, claim: Claim) -> ClaimResult:
        """Create claim number ``claim.n`` if it is absent; return the one that now exists."""
        ...

    def claim(self, tag: ClaimTag) -> Claim | None:
        """Return the claim under this number, or None."""
        ...

    def newest_claim(self, job_id: str, known: int = 0) -> Claim | None:
        """Return the claim with the highest number; None if there is no claim yet.

        *known* is the number of a claim that certainly was made (according to the manifest, a queue entry,
        or the caller itself). Raises `ClaimMissing` if a claim is absent that was made.
        """
        ...

    def history_key(self, job: Job) -> str:
        """Return the key of the ended *job*'s history entry, to be kept in its manifest."""
        ...

    def put_history(self, history_key: str) -> None:
        """Put the entry (again). Raises `RecordRejected` if *history_key* is not the key of an entry."""
        ...

    def is_in_history(self, job: Job) -> bool:
        """Return whether the entry of the ended *job* was put."""
        ...

    def history(self, last: int | None = None) -> Iterator[HistoryEntry]:
        """Yield finished jobs, newest first; entries that cannot be read are skipped."""
        ...

    def delete(self, job: Job) -> None:
        """Delete a final job: script and data, claims, manifest, history, in this order.

        Raises `JobStateConflict` for a job that has not ended.
        """
        ...

    def delete_finished(self, keep: Callable[[HistoryEntry], bool] = keep_none) -> Iterator[str]:
        """Delete every job of the history except those to *keep*; yield each id once the job is gone."""
        ...

    def remove_ghost(self, job_id: str) -> bool:
        """Remove what is left of a job whose manifest is absent; return whether there was anything."""
        ...


class JobQueue(Protocol):
    """The queues of systems: queue entries, requests and doorbells."""

    def invite(self, system: str, tag: ClaimTag) -> None:
        """Put the queue entry that invites *system* to create ``run`` claim ``tag.n``."""
        ...

    def withdraw(self, system: str, tags: Sequence[ClaimTag]) -> None:
        """Delete exactly these queue entries."""
        ...

    def request_cancel(self, system: str, tag: ClaimTag, task: int | None = None) -> None:
        """Ask the holder of claim ``tag.n`` to end its scheduler job, or only one task of it."""
        ...

    def is_cancel_requested(self, system: str, tag: ClaimTag) -> bool:
        """Return whether the holder of claim ``tag.n`` was asked to end its job, by a read, not a listing."""
        ...

    def request_follow(self, system: str, tag: ClaimTag) -> None:
        """Ask the holder to upload new log output soon; repeat this as long as it is wanted."""
        ...

    def request_refresh(self, system: str, tag: ClaimTag) -> None:
        """Ask the holder for the present states of its jobs; it deletes the request once they are written."""
        ...

    def is_refresh_requested(self, system: str, tag: ClaimTag) -> bool:
        """Return whether the holder has not answered such a request yet, by a read, not a listing."""
        ...

    def drop_requests(
        self,
        system: str,
        cancels: Sequence[ClaimTag] = (),
        follows: Sequence[ClaimTag] = (),
        task_cancels: Sequence[TaskRequest] = (),
        refreshes: Sequence[ClaimTag] = (),
    ) -> None:
        """Delete requests that have been answered."""
        ...

    def ring(self, system: str) -> None:
        """Ring the doorbell, after any write to the system's queue."""
        ...

    def doorbell(self, system: str, known: str) -> str:
        """Return the current value of the doorbell; equal to *known* if it has not rung since."""
        ...

    def listing(self, system: str, after: str = "") -> QueueListing:
        """Return all objects in the queue of *system*, from all pages; only a part of an absurdly long queue.

        The next part is the listing *after* this one's ``rest_after``. Nothing may be concluded from the
        absence of a queue entry.
        """
        ...

    def queue_entries_of_all(self) -> dict[str, QueueListing]:
        """Return the queues of all systems, from one listing."""
        ...

    def holds_queue_entry(self, system: str, tag: ClaimTag) -> bool:
        """Return whether *system* has the queue entry of claim ``tag.n``, by a read, not a listing."""
        ...


class JobFiles(Protocol):
    """The files of a job besides its record. Bulk transfers are streamed."""

    def put_script(self, job_id: str, script: Jobscript) -> None:
        """Store the script; its name here is the name of the job, whatever its file is called."""
        ...

    def script(self, job: Job) -> Jobscript:
        """Return the script as submitted. Raises `RecordRejected` if it is absent or too large."""
        ...

    def holds_script(self, job: Job) -> bool:
        """Return whether the script exists; a deletion removes it first."""
        ...

    def are_complete(self, job: Job) -> bool:
        """Return whether all files of an unclaimed *job* exist: its script, inputs and arguments."""
        ...

    def put_task_arguments(self, job_id: str, lines: Sequence[Words]) -> None:
        """Store the arguments of the tasks of an array, those of task 1 first."""
        ...

    def task_arguments(self, job: Job) -> tuple[Words, ...]:
        """Return the arguments of the tasks. Raises `RecordRejected` if they are absent or invalid."""
        ...

    def put_local_script(self, tag: ClaimTag, script: Jobscript) -> None:
        """Store the converted form of a meta jobscript, for its owner to inspect."""
        ...

    def put_input(self, job_id: str, archive: Path) -> None: ...

    def fetch_input(self, job_id: str, target: Path, note: Callable[[int], object] = forget_progress) -> int:
        """Download the input archive to *target*, over what an earlier try left; return its size.

        *note* gets the number of bytes so far after each piece; an exception from it ends the download.
        Raises `RecordRejected` if the archive is absent.
        """
        ...

    def put_log(
        self,
        tag: ClaimTag,
        stream: str,
        task: int | None,
        pieces: Iterator[bytes],
        *,
        expected_bytes: int = 0,
    ) -> None:
        """Upload a whole log, once it is complete."""
        ...

    def put_log_piece(self, tag: ClaimTag, stream: str, task: int | None, offset: int, piece: bytes) -> None:
        """Write bytes of a log that still grows, the first of them at *offset*."""
        ...

    def read_log(self, tag: ClaimTag, stream: str, task: int | None) -> Iterator[bytes]:
        """Yield the pieces of a complete log; nothing if it was empty."""
        ...

    def log_pieces(self, tag: ClaimTag, stream: str, task: int | None, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes from *offset* on that the pieces contain without a gap; overlaps are dropped."""
        ...

    def log_sizes(self, job: Job, stream: str) -> Mapping[int | None, int]:
        """Return how many bytes the store has of each log of *stream*, by task, from one listing.

        These are whole logs once the job is final, else pieces. Tasks without output are left out.
        """
        ...

    def drop_log_pieces(self, tag: ClaimTag) -> None:
        """Delete all pieces of a claim, once the whole logs are stored."""
        ...

    def drop_unfinished(self, tag: ClaimTag) -> None:
        """Abort uploads of a claim's results that were begun and not finished."""
        ...

    def put_output(
        self, tag: ClaimTag, number: int, pieces: Iterator[bytes], *, expected_bytes: int = 0
    ) -> int:
        """Upload output archive *number*, counted from 1, as it is made; return its size.

        *pieces* are read once: if the upload fails, the caller must make them again.
        """
        ...

    def download_all(
        self,
        job: Job,
        into: Path,
        finish: Callable[[Path], None] = leave_as_it_is,
        *,
        wanted: WantedFiles = ALL_FILES,
        completes: bool = False,
        note: Callable[[int, int], object] = forget_transfer,
    ) -> Downloaded:
        """Download script, input archive, logs and output archives of *job* into the new directory *into*.

        Names are checked before anything is written. If an archive is absent, or there is no room for it,
        only that archive is missing. *finish* gets the directory before it has its final name; its errors
        are passed on, and then nothing is left behind. Files that are not *wanted*, and archives in which no
        file can be wanted, are left out. If *completes* and *into* exists, what is missing there is added,
        and nothing is overwritten. *note* gets the bytes so far and in all, after each piece.

        Raises `InvalidInput` if *into* exists already or cannot be made, and `JobNotFound` if the job is
        deleted during the download.
        """
        ...
