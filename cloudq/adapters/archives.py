"""Zip archives on the client's side, on any operating system.

What is extracted here goes into a directory that was made for it and that nobody else writes to,
so checked names are enough; the agent's extraction beside running jobs trusts less.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from cloudq.adapters.archive_checks import BAD_ARCHIVE, ArchiveLimits, opened_archive
from cloudq.domain.errors import ArchiveRejected, InvalidInput
from cloudq.domain.names import file_name_problem, on_one_line


@frozen
class ZipArchives:
    """Packs and extracts zip archives as streams."""

    limits: ArchiveLimits = field(factory=ArchiveLimits)

    def check(self, paths: Sequence[Path], script: Path) -> None:
        """Raise `InvalidInput` with all that keeps *paths* from going along with *script*."""
        if problems := _problems(_named(paths), script):
            raise InvalidInput(problems)

    def pack(self, paths: Sequence[Path], archive: Path) -> None:
        """Pack files and directories under their own last names."""
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as opened:
            for path, name in _named(paths):
                _add(opened, path, name)

    def extract(self, archive: Path, into: Path) -> None:
        """Extract into the new directory *into*."""
        into.mkdir()
        try:
            with opened_archive(archive, self.limits) as (opened, _):
                for entry in opened.infolist():
                    _extract(opened, entry, into)
        except BAD_ARCHIVE as error:
            raise ArchiveRejected(f"{archive.name} cannot be read: {error}") from error


def _named(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    return [(path, path.resolve().name if path.name in {"", ".."} else path.name) for path in paths]


def _problems(named: Sequence[tuple[Path, str]], script: Path) -> list[str]:
    problems = []
    seen: dict[str, Path] = {}
    for path, name in named:
        shown = on_one_line(path)
        if not path.exists():
            problems.append(f"input {shown}: there is no such file or directory")
        elif problem := file_name_problem(name):
            problems.append(f"input {shown}: {problem}")
        elif twin := _twin(path, name, seen, script):
            problems.append(f"input {shown}: {twin} has the same name in the work directory; rename one")
        elif path.is_file() and not os.access(path, os.R_OK):
            problems.append(f"input {shown}: cannot be read")
        seen.setdefault(name, path)
    return problems


def _twin(path: Path, name: str, seen: Mapping[str, Path], script: Path) -> str:
    """What else would have *name* in the work directory, in words."""
    if name in seen:
        return on_one_line(seen[name])
    is_the_script_s = name == script.name and script.exists() and not path.samefile(script)
    return "the script" if is_the_script_s else ""


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    if path.is_dir():
        archive.write(path, f"{name}/")
        for inside in _files_below(path):
            archive.write(inside, f"{name}/{inside.relative_to(path).as_posix()}")
    else:
        archive.write(path, name)


def _files_below(directory: Path) -> Iterator[Path]:
    """Regular files and directories, links to files read, links to directories not entered."""

    def refuse(error: OSError) -> None:
        raise InvalidInput(f"input {error.filename}: cannot be read: {error.strerror}") from error

    for path, directories, files in os.walk(directory, onerror=refuse):
        directories.sort()
        for name in sorted((*directories, *files)):
            found = Path(path, name)
            if found.is_dir() or found.is_file():
                yield found


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, into: Path) -> None:
    written = Path(archive.extract(entry, into))
    mode = entry.external_attr >> 16
    if not entry.is_dir() and mode & stat.S_IXUSR:
        written.chmod(written.stat().st_mode | stat.S_IXUSR)
