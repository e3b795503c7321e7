"""Jobs in the bucket, in the domain's words: who writes what, in which order, is protocol.md's.

Besides what each method names, all may raise `StoreUnavailable` and `StoreRefused`. A record
that cannot be read raises `RecordRejected` (`NewerFormat` for a newer major format).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen

from cloudq.domain.jobs.claim import Claim
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job import Job, StoredJob
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.jobscript import Jobscript


@frozen
class ClaimResult:
    """The claim that stands under a number, and whether this call created it."""

    claim: Claim
    is_ours: bool


@frozen
class Marker:
    """An invitation to a system, or the sign that it holds the job."""

    tag: ClaimTag
    age_s: float
    """Seconds since it was put, by the store's clock."""


@frozen(order=True)
class TaskRequest:
    """A request that concerns one task of an array job."""

    tag: ClaimTag
    task: int


@frozen
class QueueListing:
    """What is under one system's queue."""

    markers: tuple[Marker, ...] = ()
    cancels: tuple[ClaimTag, ...] = ()
    task_cancels: tuple[TaskRequest, ...] = ()
    follows: tuple[Marker, ...] = ()
    rest_after: str = ""
    """Where the next listing goes on to see the rest; empty: there is none."""


def keep_none(_: HistoryEntry) -> bool:
    """Nothing is kept."""
    return False


INPUT_ARCHIVE = "input.zip"


def output_archive(number: int) -> str:
    """The file name of one of the archives of a job's outputs, counted from 1."""
    return "output.zip" if number == 1 else f"output.{number:d}.zip"


@frozen
class Downloaded:
    """What was written, and what of the archives could not be, in words."""

    files: Sequence[Path]
    problems: tuple[str, ...] = ()


def leave_as_it_is(_: Path) -> None:
    """Nothing is done with what was downloaded."""


def forget_progress(_: int) -> None:
    """Nobody asks how far a transfer has come."""


class JobRepository(Protocol):
    """Manifests, claims and the history."""

    def reserve(self, job: Job) -> StoredJob:
        """Create the manifest, which reserves the id.

        Raises `JobIdTaken`; `OutcomeUnknown` if it cannot be known who created it. A nonce that
        *job* has is kept, so that such a call may be made again with the same job.
        """
        ...

    def load(self, job_id: str) -> StoredJob:
        """Read a manifest. Raises `JobNotFound`."""
        ...

    def load_if_changed(self, known: StoredJob) -> StoredJob:
        """Read it again; *known* itself if nothing changed. Raises `JobNotFound`."""
        ...

    def replace(self, known: StoredJob, job: Job) -> StoredJob:
        """Rewrite the manifest that *known* was read from. Raises `RecordChanged`."""
        ...

    def put_again(self, job: Job) -> StoredJob:
        """Create the manifest of *job* that the store has lost. Raises `RecordChanged` if there is one."""
        ...

    def create_claim(self, job_id: str, claim: Claim) -> ClaimResult:
        """Create claim number ``claim.n`` if it is absent; say which one stands."""
        ...

    def claim(self, tag: ClaimTag) -> Claim | None:
        """The claim under this number, or None."""
        ...

    def newest_claim(self, job_id: str, known: int = 0) -> Claim | None:
        """The claim with the highest number; None while nobody made any.

        *known* is the number of a claim that was made for certain (by the manifest, by a queue
        entry, by the caller itself). Raises `ClaimMissing` if a claim is absent that was made.
        """
        ...

    def history_key(self, job: Job) -> str:
        """The key of the ended *job*'s history entry, to be kept in its manifest."""
        ...

    def put_history(self, history_key: str) -> None:
        """Put the entry (again). Raises `RecordRejected` for what is no key of an entry."""
        ...

    def is_in_history(self, job: Job) -> bool:
        """Whether the entry of the ended *job* was put."""
        ...

    def history(self, last: int | None = None) -> Iterator[HistoryEntry]:
        """Finished jobs, newest first; entries that cannot be read are skipped."""
        ...

    def delete(self, job: Job) -> None:
        """Delete a final job: script and data, claims, manifest, history, in this order.

        Raises `JobStateConflict` for a job that has not ended.
        """
        ...

    def delete_finished(self, keep: Callable[[HistoryEntry], bool] = keep_none) -> Iterator[str]:
        """Delete every job of the history but those to *keep*; yield the ids once they are gone."""
        ...

    def remove_ghost(self, job_id: str) -> bool:
        """Remove what is left of a job whose manifest is absent; whether there was anything."""
        ...


class JobQueue(Protocol):
    """The queues of systems: markers, requests and doorbells."""

    def invite(self, system: str, tag: ClaimTag) -> None:
        """Put the marker that invites *system* to create ``run`` claim ``tag.n``."""
        ...

    def withdraw(self, system: str, tags: Sequence[ClaimTag]) -> None:
        """Delete exactly these markers."""
        ...

    def request_cancel(self, system: str, tag: ClaimTag, task: int | None = None) -> None:
        """Ask the holder of claim ``tag.n`` to end its local job, or only one task of it."""
        ...

    def is_cancel_requested(self, system: str, tag: ClaimTag) -> bool:
        """Whether the holder of claim ``tag.n`` was asked to end its local job, read and not listed."""
        ...

    def request_follow(self, system: str, tag: ClaimTag) -> None:
        """Ask the holder to bring logs soon; to be repeated while they are wanted."""
        ...

    def drop_requests(
        self,
        system: str,
        cancels: Sequence[ClaimTag] = (),
        follows: Sequence[ClaimTag] = (),
        task_cancels: Sequence[TaskRequest] = (),
    ) -> None:
        """Delete requests that have been answered."""
        ...

    def ring(self, system: str) -> None:
        """Ring the doorbell, after anything was put under the system's queue."""
        ...

    def doorbell(self, system: str, known: str) -> str:
        """What the doorbell says now; equal to *known* if it has not rung since."""
        ...

    def listing(self, system: str, after: str = "") -> QueueListing:
        """Everything under the queue of *system*, all pages; of more than any sane number, a part.

        The next part is what a listing tells *after* this one's ``rest_after``. Nothing may be
        concluded from a marker that is not there.
        """
        ...

    def markers_of_all(self) -> dict[str, QueueListing]:
        """The queues of all systems, in one listing."""
        ...

    def holds_marker(self, system: str, tag: ClaimTag) -> bool:
        """Whether the marker of claim ``tag.n`` is in the queue of *system*, read and not listed."""
        ...


class JobFiles(Protocol):
    """What belongs to a job besides its record. Bulk transfers are streamed."""

    def put_script(self, job_id: str, script: Jobscript) -> None: ...

    def script(self, job: Job) -> Jobscript:
        """The script as submitted. Raises `RecordRejected` if it is absent or too large."""
        ...

    def holds_script(self, job: Job) -> bool:
        """Whether the script is there, which goes first when a job is deleted."""
        ...

    def are_complete(self, job: Job) -> bool:
        """Whether all that goes along with an unclaimed *job* is there: its script, its inputs."""
        ...

    def put_local_script(self, tag: ClaimTag, script: Jobscript) -> None:
        """Keep what a meta jobscript became, for its owner to look at."""
        ...

    def put_input(self, job_id: str, archive: Path) -> None: ...

    def fetch_input(self, job_id: str, target: Path, note: Callable[[int], object] = forget_progress) -> int:
        """Download the input archive to *target*, over what an earlier try left; return its size.

        *note* gets the bytes that are there after each piece; what it raises ends the download.
        Raises `RecordRejected` if it is absent.
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
        """Put bytes of a log that still grows, the first of them at *offset*."""
        ...

    def read_log(self, tag: ClaimTag, stream: str, task: int | None) -> Iterator[bytes]:
        """A complete log, streamed; nothing if it was empty."""
        ...

    def log_pieces(self, tag: ClaimTag, stream: str, task: int | None, offset: int = 0) -> Iterator[bytes]:
        """The bytes from *offset* on that pieces give without a gap, overlaps dropped."""
        ...

    def drop_log_pieces(self, tag: ClaimTag) -> None:
        """Delete all pieces of a claim, once the whole logs are there."""
        ...

    def drop_unfinished(self, tag: ClaimTag) -> None:
        """Abort uploads of a claim's results that somebody began and did not finish."""
        ...

    def put_output(
        self, tag: ClaimTag, number: int, pieces: Iterator[bytes], *, expected_bytes: int = 0
    ) -> int:
        """Upload output archive *number*, counted from 1, as it is made; return its size.

        *pieces* are taken once: what breaks is begun again by whoever makes them.
        """
        ...

    def download_all(
        self, job: Job, into: Path, finish: Callable[[Path], None] = leave_as_it_is
    ) -> Downloaded:
        """Script, input archive, logs and output archives of *job*, into the new directory *into*.

        Names are checked before anything is written. An archive that is not there, or for which there
        is no room, costs that archive. *finish* gets the directory before it has its name.
        Raises `InvalidInput` if it exists already or cannot be made, `JobNotFound` if the job is
        deleted meanwhile.
        """
        ...
