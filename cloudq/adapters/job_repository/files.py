"""Scripts, inputs, logs and outputs over any object store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from cloudq.adapters.filesystem import as_workspace_problem, noted, write_new_file
from cloudq.adapters.job_repository import keys
from cloudq.adapters.job_repository.download import DownloadDirectory, Sized
from cloudq.adapters.job_repository.records import read
from cloudq.domain.errors import (
    InvalidInput,
    JobNotFound,
    ObjectNotFound,
    ObjectTooLarge,
    RecordRejected,
    StoreRefused,
)
from cloudq.domain.jobs.arguments import MAX_LINES_BYTES, Words, checked_lines, lines_text, read_lines
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.wanted_files import ALL_FILES, WantedFiles
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.jobscript import MAX_SCRIPT_BYTES, Jobscript
from cloudq.ports.clock import IdSource
from cloudq.ports.job_repository import (
    INPUT_ARCHIVE,
    Downloaded,
    forget_transfer,
    leave_as_it_is,
    output_archive,
)
from cloudq.ports.object_store import ObjectStore, forget_progress, pages

_OWN_NAMES = frozenset({INPUT_ARCHIVE, "input", "output", "incomplete"})
"""Names beside the script in a staged-out job, in addition to its results, in lower case."""

MAX_PIECE_BYTES = 4 * 1024 * 1024
"""The largest piece: a reader looks back no further for the piece that covers an offset."""


@frozen
class BucketJobFiles:
    """The port `JobFiles` over any `ObjectStore`."""

    store: ObjectStore
    ids: IdSource

    def put_script(self, job_id: str, script: Jobscript) -> None:
        """Upload the script with one PUT."""
        self.store.put(keys.script(job_id, script.name), script.body)

    def script(self, job: Job) -> Jobscript:
        """Read the script with one GET."""
        key = keys.script(job.uuid, job.name)
        try:
            return Jobscript(job.script_name, read(self.store, key, MAX_SCRIPT_BYTES).body)
        except ObjectNotFound as error:
            raise RecordRejected(f"{key} is absent: the job has no script") from error

    def holds_script(self, job: Job) -> bool:
        """Look for the script with one GET."""
        try:
            read(self.store, keys.script(job.uuid, job.name), MAX_SCRIPT_BYTES)
        except ObjectNotFound:
            return False
        return True

    def are_complete(self, job: Job) -> bool:
        """Look for the script and the input with one LIST."""
        needed = {keys.script(job.uuid, job.name)}
        if job.has_input:
            needed.add(keys.input_archive(job.uuid))
        if job.has_task_arguments:
            needed.add(keys.task_arguments(job.uuid))
        for page in pages(self.store, keys.job(job.uuid)):
            needed -= {listed.key for listed in page.objects}
            if not needed:
                return True
        return False

    def put_local_script(self, tag: ClaimTag, script: Jobscript) -> None:
        """Upload the converted script with one PUT."""
        self.store.put(keys.local_script(tag, script.name), script.body)

    def put_task_arguments(self, job_id: str, lines: Sequence[Words]) -> None:
        """Upload the arguments with one PUT."""
        self.store.put(keys.task_arguments(job_id), lines_text(lines).encode())

    def task_arguments(self, job: Job) -> tuple[Words, ...]:
        """Read the arguments with one GET."""
        key = keys.task_arguments(job.uuid)
        try:
            text = read(self.store, key, MAX_LINES_BYTES).body.decode()
            return checked_lines(read_lines(text, key))
        except ObjectNotFound as error:
            raise RecordRejected(f"{key} is absent: the arguments of the job's tasks are gone") from error
        except (InvalidInput, UnicodeDecodeError) as error:
            raise RecordRejected(f"{key} does not hold the arguments of the job's tasks: {error}") from error

    def put_input(self, job_id: str, archive: Path) -> None:
        """Upload the input archive."""
        self.store.upload(keys.input_archive(job_id), archive)

    def fetch_input(self, job_id: str, target: Path, note: Callable[[int], object] = forget_progress) -> int:
        """Download the input archive. Raises `RecordRejected` if it is absent."""
        key = keys.input_archive(job_id)
        try:
            with as_workspace_problem(f"download the input to {target}"):
                target.unlink(missing_ok=True)  # an earlier attempt ran out of space or was killed
                return write_new_file(target, noted(self.store.read(key), note))
        except ObjectNotFound as error:
            raise RecordRejected(f"{key} is absent: the job's input is gone") from error

    def put_log(
        self,
        tag: ClaimTag,
        stream: str,
        task: int | None,
        pieces: Iterator[bytes],
        *,
        expected_bytes: int = 0,
    ) -> None:
        """Upload a log in parts, or a short one with one PUT."""
        self.store.upload_pieces(keys.log(tag, stream, task), pieces, expected_bytes=expected_bytes)

    def put_log_piece(self, tag: ClaimTag, stream: str, task: int | None, offset: int, piece: bytes) -> None:
        """Upload a piece with one PUT per `MAX_PIECE_BYTES`."""
        for start in range(0, len(piece), MAX_PIECE_BYTES):
            key = keys.log_piece(tag, stream, task, offset + start)
            self.store.put(key, piece[start : start + MAX_PIECE_BYTES])

    def read_log(self, tag: ClaimTag, stream: str, task: int | None) -> Iterator[bytes]:
        """Yield a log in pieces, from one download."""
        try:
            yield from self.store.read(keys.log(tag, stream, task))
        except ObjectNotFound:
            return

    def log_pieces(self, tag: ClaimTag, stream: str, task: int | None, offset: int = 0) -> Iterator[bytes]:
        """Yield new bytes with one LIST per thousand pieces, and one GET for each piece that has some."""
        position = offset
        for start, key, size in self._pieces(tag, stream, task, max(0, offset - MAX_PIECE_BYTES)):
            if start > position:
                return
            if start + size <= position:
                continue
            piece = self._piece(key)
            if piece is None:
                return
            if new := piece[position - start :]:
                yield new
                position += len(new)

    def log_sizes(self, job: Job, stream: str) -> Mapping[int | None, int]:
        """List the claim's whole logs, or its pieces, with one LIST per thousand."""
        if not job.claim:
            return {}
        prefix = keys.results(job.tag) if job.is_final else keys.all_log_pieces(job.tag)
        tasks = {keys.log_name(stream, task): task for task in job.task_ids}
        sizes: dict[int | None, int] = {}
        for page in pages(self.store, prefix, delimiter="/" if job.is_final else ""):
            for listed in page.objects:
                name, _, offset = listed.key.removeprefix(prefix).partition("/")
                start = keys.piece_offset(listed.key) if offset else 0
                if name in tasks and start is not None and bool(offset) is not job.is_final:
                    sizes[tasks[name]] = max(sizes.get(tasks[name], 0), start + listed.size)
        return sizes

    def drop_log_pieces(self, tag: ClaimTag) -> None:
        """Delete the pieces of logs with one LIST and one deletion per thousand."""
        for page in pages(self.store, keys.all_log_pieces(tag)):
            if page.objects:
                self.store.delete([listed.key for listed in page.objects])

    def drop_unfinished(self, tag: ClaimTag) -> None:
        """List unfinished uploads once and abort them; if a service cannot list them, its own rules apply."""
        with suppress(StoreRefused):
            for upload in list(self.store.unfinished_uploads(keys.results(tag))):
                self.store.abort_upload(upload)

    def put_output(
        self, tag: ClaimTag, number: int, pieces: Iterator[bytes], *, expected_bytes: int = 0
    ) -> int:
        """Upload an output archive in parts, or a small one with one PUT."""
        return self.store.upload_pieces(keys.output(tag, number), pieces, expected_bytes=expected_bytes)

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
        """Download with one LIST per thousand objects of the claim, and one download per object."""
        logs, outputs = self._results(job) if job.claim else ({}, {})
        script = {_free_name(job.script_name): Sized(keys.script(job.uuid, job.name))}
        files = {name: source for name, source in (logs | script).items() if wanted.has(name)}
        archives: dict[str, Sized] = {}
        if job.has_input and wanted.may_have_some_in("input"):
            archives[INPUT_ARCHIVE] = Sized(keys.input_archive(job.uuid), job.size_input or 0)
        if wanted.may_have_some_in("output"):
            archives |= outputs
        download = DownloadDirectory(self.store, files, archives, note)
        try:
            return download(into, self.ids.nonce(), finish, completes=completes)
        except ObjectNotFound as error:
            raise JobNotFound(job.uuid, f"Job ({job.uuid}) was deleted in the meantime.") from error

    def _results(self, job: Job) -> tuple[dict[str, Sized], dict[str, Sized]]:
        """Return objects by file name: whole logs, only of tasks that the job has; and output archives.

        The record states the number of archives; an older record without it may have the first archive.
        ``log/`` and ``local/`` are not listed.
        """
        expected = {
            keys.log(job.tag, stream, task) for task in job.task_ids for stream in ("stdout", "stderr")
        }
        archives = {
            output_archive(number): Sized(keys.output(job.tag, number))
            for number in range(1, (job.output_archives or 0) + 1)
        }
        if job.output_archives is None:
            archives |= {output_archive(1): Sized("")}
        results: dict[str, Sized] = {}
        for page in pages(self.store, keys.results(job.tag), delimiter="/"):
            for listed in page.objects:
                name = keys.result_name(listed.key, job.tag)
                if name in archives:
                    archives[name] = Sized(listed.key, listed.size)
                elif name is not None and listed.key in expected:
                    results[name] = Sized(listed.key, listed.size)
        return results, {name: archive for name, archive in archives.items() if archive.key}

    def _pieces(
        self, tag: ClaimTag, stream: str, task: int | None, beginning: int
    ) -> Iterator[tuple[int, str, int]]:
        prefix = keys.log_pieces(tag, stream, task)
        before = keys.log_piece(tag, stream, task, beginning - 1) if beginning else ""
        for page in pages(self.store, prefix, start_after=before):
            for listed in page.objects:
                start = keys.piece_offset(listed.key)
                if start is not None and listed.key == f"{prefix}{start:020}":
                    yield start, listed.key, listed.size

    def _piece(self, key: str) -> bytes | None:
        try:
            return self.store.get(key).body
        except (ObjectNotFound, ObjectTooLarge):
            return None


def _free_name(name: str) -> str:
    """Return *name*, or a similar one if cloudq uses it, even on file systems that ignore case."""
    is_taken = name.casefold() in _OWN_NAMES or keys.is_result_name(name.casefold())
    return f"script.{name}" if is_taken else name
