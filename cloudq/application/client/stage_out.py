"""Download a job's files from the bucket to a new directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen

from cloudq.domain.errors import (
    ArchiveKeptPacked,
    ArchiveRejected,
    StagedOutInPart,
    TargetExists,
    WorkspaceFull,
)
from cloudq.domain.jobs.contents import Contents
from cloudq.domain.jobs.job import Job
from cloudq.ports.archives import Archives
from cloudq.ports.job_repository import INPUT_ARCHIVE, JobFiles, output_archive

INPUT, OUTPUT = "input", "output"
"""The directories into which the archives are unpacked."""


@frozen
class StageOut:
    """Download script, inputs, outputs and logs to ``<into>/<id>``, and overwrite nothing."""

    files: JobFiles
    archives: Archives

    def __call__(self, job: Job, into: Path, *, unlimited: bool = False) -> Path:
        """Return the new directory, which appears only after everything that could be downloaded was.

        *unlimited* waives the size limits on unpacked archives. Raises `TargetExists`, and `StagedOutInPart`
        (after the directory was created) if an archive or one of its files is missing.
        """
        target = into / job.uuid
        if target.exists() or target.is_symlink():
            raise TargetExists(f"{target} already exists: move it away, or choose another place.")
        problems: list[str] = []

        def unpack(folder: Path) -> None:
            problems.extend(self._unpacked(job, folder, unlimited=unlimited))

        problems[:0] = self.files.download_all(job, target, unpack).problems
        if problems:
            raise StagedOutInPart(job.uuid, target, problems)
        return target

    def _unpacked(self, job: Job, folder: Path, *, unlimited: bool) -> Iterator[str]:
        """Unpack the downloaded archives; yield a message for each file or archive that was not unpacked."""
        outputs = [output_archive(number) for number in range(1, (job.output_archives or 1) + 1)]
        for directory, names, promised in (
            (INPUT, [INPUT_ARCHIVE], job.input_contents),
            (OUTPUT, outputs, job.output_contents),
        ):
            there = [folder / name for name in names if (folder / name).is_file()]
            if there:
                yield from self._extract(there, folder / directory, promised, unlimited=unlimited)

    def _extract(
        self, archives: Sequence[Path], into: Path, promised: Contents | None, *, unlimited: bool
    ) -> Iterator[str]:
        try:
            refused = self.archives.extract(archives, into, promised, unlimited=unlimited)
        except (ArchiveRejected, WorkspaceFull) as error:
            kept = ", ".join(archive.name for archive in archives)
            first = "free some space" if isinstance(error, WorkspaceFull) else "inspect it"
            yield ArchiveKeptPacked(f"{into.name}: {error}; kept packed as {kept}: {first}, then unpack it")
            return
        for archive in archives:
            archive.unlink()
        yield from (f"{into.name}: {entry}" for entry in refused)
