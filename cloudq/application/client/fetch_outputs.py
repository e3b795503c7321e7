"""Put the output files of a job where its script would have left them here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

from cloudq.application.client.stage_out import StageOut
from cloudq.domain.errors import InvalidInput, StagedOutInPart
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.outputs import OutputFilter
from cloudq.domain.jobs.wanted_files import OUTPUT
from cloudq.ports.job_repository import forget_transfer


@frozen
class Fetched:
    """The output files that were put in place, and the patterns that matched none."""

    files: tuple[Path, ...]
    unmatched: tuple[str, ...] = ()


@frozen
class FetchOutputs:
    """Download output files, and replace older files of the same names."""

    stage_out: StageOut

    def __call__(
        self,
        job: Job,
        into: Path,
        patterns: Sequence[str],
        note: Callable[[int, int], object] = forget_transfer,
    ) -> Fetched:
        """Put the files that match *patterns* into the directory *into*; touch nothing else there.

        The patterns are the caller's, not those of the record: the bucket must not choose which files are
        replaced. *note* gets the bytes so far and in all. Raises `StagedOutInPart` if some files could
        not be downloaded or put in place, after all others were.
        """
        try:
            into.mkdir(parents=True, exist_ok=True)
            scratch = TemporaryDirectory(dir=into, prefix=".cloudq-")
        except OSError as error:
            raise InvalidInput(f"{into}: cannot be written to: {error.strerror or error}") from error
        with scratch as folder:
            problems: list[str] = []
            downloaded = Path(folder) / job.uuid
            try:
                self.stage_out(job, Path(folder), note=note)
            except StagedOutInPart as error:
                problems.extend(error.problems)
            names = sorted(_files_in(downloaded / OUTPUT, OutputFilter(patterns)))
            files = [file for name in names if (file := _put(downloaded / OUTPUT, into, name, problems))]
        if problems:
            raise StagedOutInPart(job.uuid, into, problems)
        unmatched = (one for one in patterns if not any(map(OutputFilter((one,)), names)))
        return Fetched(tuple(files), tuple(unmatched))


def _files_in(folder: Path, is_wanted: OutputFilter) -> Iterator[str]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if is_wanted(name) and (path.is_symlink() or path.is_file()):
            yield name


def _put(folder: Path, into: Path, name: str, problems: list[str]) -> Path | None:
    target = into / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return (folder / name).replace(target)
    except OSError as error:
        problems.append(f"{target}: cannot be written: {error.strerror or error}")
        return None
