"""Download a job's files from the bucket to a new directory, or complete a directory that was begun."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from cloudq.domain.errors import (
    ArchiveKeptPacked,
    ArchiveRejected,
    InvalidInput,
    JobStateConflict,
    StagedOutInPart,
    TargetExists,
    WorkspaceFull,
)
from cloudq.domain.jobs.contents import Contents
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.wanted_files import ALL_FILES, OUTPUT, WantedFiles
from cloudq.domain.names import on_one_line
from cloudq.ports.archives import Archives, any_file
from cloudq.ports.job_repository import INPUT_ARCHIVE, JobFiles, forget_transfer, output_archive

INPUT = "input"
"""The directory into which the inputs are unpacked; the outputs go to `OUTPUT`."""

MARKER = "INCOMPLETE"
"""The file in a directory that does not have all files of its job; it names the job, and why."""
MAX_MARKER_BYTES = 4096
MOST_NAMED = 10


@frozen
class StageOut:
    """Download script, inputs, outputs and logs to ``<into>/<id>``, and overwrite nothing."""

    files: JobFiles
    archives: Archives

    def __call__(
        self,
        job: Job,
        into: Path,
        *,
        wanted: WantedFiles = ALL_FILES,
        unlimited: bool = False,
        note: Callable[[int, int], object] = forget_transfer,
    ) -> Path:
        """Return the directory, which appears only after everything that could be downloaded was.

        A directory of a job that had not ended, of *wanted* files only, or without an archive that could not
        be downloaded, contains a `MARKER`. If such a directory of the same job exists, the files that it
        lacks are added, and the marker is removed once it has all. *unlimited* waives the size limits on
        unpacked archives; *note* gets the bytes so far and in all.

        Raises `TargetExists` for any other directory, `InvalidInput` if no file is *wanted*, and
        `StagedOutInPart` (after the directory was created) if an archive or one of its files is missing.
        """
        target = into / job.uuid
        is_begun = _is_incomplete(target, job)
        if not is_begun and (target.exists() or target.is_symlink()):
            raise TargetExists(f"{target} already exists: move it away, or choose another place.")
        problems: list[str] = []
        is_whole = job.is_final and wanted == ALL_FILES

        def unpack(folder: Path) -> None:
            problems.extend(self._unpacked(job, folder, wanted, unlimited=unlimited))
            if wanted != ALL_FILES and not any(folder.iterdir()):
                raise InvalidInput(
                    f"job ({job.uuid}) has no file that matches {' or '.join(map(repr, wanted.patterns))}"
                )
            if not is_whole and not is_begun:
                _mark(
                    folder, job, "Only some files were chosen." if job.is_final else "The job had not ended."
                )

        downloaded = self.files.download_all(
            job, target, unpack, wanted=wanted, completes=is_begun, note=note
        )
        problems[:0] = downloaded.problems
        if is_whole and is_begun and not problems:
            (target / MARKER).unlink(missing_ok=True)
        if is_whole and not is_begun and downloaded.problems:
            _mark(target, job, "An archive could not be downloaded.")
        if problems:
            raise StagedOutInPart(job.uuid, target, problems)
        return target

    def output_file(
        self, job: Job, pattern: str, scratch: Path, note: Callable[[int, int], object] = forget_transfer
    ) -> Path:
        """Download the one output file that *pattern* matches into the directory *scratch*; return its path.

        Raises `JobStateConflict` before the job has ended, and `InvalidInput` unless exactly one matches.
        """
        if not job.is_final:
            raise JobStateConflict(
                f"Job ({job.uuid}) is {job.state.value}: its outputs are stored once it has ended."
            )
        chosen = WantedFiles((f"{OUTPUT}/{pattern}",))
        folder = self(job, scratch, wanted=chosen, note=note) / OUTPUT
        matching = sorted(path for path in folder.rglob("*") if path.is_file())
        exact = [path for path in matching if path.relative_to(folder).as_posix() == pattern]
        if len(exact or matching) != 1:
            names = [on_one_line(path.relative_to(folder).as_posix()) for path in matching[:MOST_NAMED]]
            more = ", …" if len(matching) > MOST_NAMED else ""
            raise InvalidInput(
                f"{pattern!r} matches {len(matching)} output files of job ({job.uuid}): "
                f"{', '.join(names)}{more}; name one"
            )
        return (exact or matching)[0]

    def _unpacked(self, job: Job, folder: Path, wanted: WantedFiles, *, unlimited: bool) -> Iterator[str]:
        """Unpack the downloaded archives; yield a message for each file or archive that was not unpacked."""
        outputs = [output_archive(number) for number in range(1, (job.output_archives or 1) + 1)]
        for directory, names, promised in (
            (INPUT, [INPUT_ARCHIVE], job.input_contents),
            (OUTPUT, outputs, job.output_contents),
        ):
            there = [folder / name for name in names if (folder / name).is_file()]
            if there:
                yield from self._extract(there, folder / directory, promised, wanted, unlimited=unlimited)

    def _extract(
        self,
        archives: Sequence[Path],
        into: Path,
        promised: Contents | None,
        wanted: WantedFiles,
        *,
        unlimited: bool,
    ) -> Iterator[str]:
        def is_wanted(path: str) -> bool:
            return wanted.has(f"{into.name}/{path}")

        chosen = any_file if wanted == ALL_FILES else is_wanted
        try:
            refused = self.archives.extract(archives, into, promised, unlimited=unlimited, wanted=chosen)
        except (ArchiveRejected, WorkspaceFull) as error:
            kept = ", ".join(archive.name for archive in archives)
            first = "free some space" if isinstance(error, WorkspaceFull) else "inspect it"
            yield ArchiveKeptPacked(f"{into.name}: {error}; kept packed as {kept}: {first}, then unpack it")
            return
        for archive in archives:
            archive.unlink()
        if chosen is not any_file:
            with suppress(OSError):  # it has files
                into.rmdir()
        yield from (f"{into.name}: {entry}" for entry in refused)


def _mark(folder: Path, job: Job, why: str) -> None:
    """Write the marker of an incomplete directory."""
    text = (
        f"This directory does not have all files of job ({job.uuid}). {why}\n"
        "To complete it, stage the job out again into the same place: nothing here is overwritten.\n"
        f"{_signature(job)}\n"
    )
    (folder / MARKER).write_text(text, encoding="utf-8")


def _signature(job: Job) -> str:
    """Return the line that proves that a directory was begun for exactly this job."""
    return f"job {job.uuid} {job.submission}".rstrip()


def _is_incomplete(target: Path, job: Job) -> bool:
    """Return whether *target* is an incomplete directory of *job*."""
    marker = target / MARKER
    if target.is_symlink() or marker.is_symlink() or not marker.is_file():
        return False
    with marker.open("rb") as file:
        lines = file.read(MAX_MARKER_BYTES).decode(errors="replace").splitlines()
    return bool(lines) and lines[-1] == _signature(job)
