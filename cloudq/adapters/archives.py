"""Zip archives on the client, on any operating system.

Archives are extracted into a new directory to which no other process writes, so checked names are
enough; the agent, which extracts beside running jobs, trusts less. Links are made last, so that
nothing is ever written through one.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field, frozen

from cloudq.adapters.archive_checks import (
    BAD_ARCHIVE,
    ArchiveLimits,
    check_promise,
    check_room,
    is_link,
    opened_archive,
    parts_of,
)
from cloudq.adapters.filesystem import as_workspace_problem
from cloudq.adapters.input_walk import InputWalk
from cloudq.adapters.left_out import LeftOut
from cloudq.adapters.zip_stream import ZipStream
from cloudq.domain.errors import ArchiveRejected, InvalidInput
from cloudq.domain.jobs.archive_names import encoded, for_windows, leads_outside
from cloudq.domain.jobs.contents import Contents
from cloudq.domain.names import on_one_line
from cloudq.domain.problems import Problems
from cloudq.ports.archives import Packed, any_file

_CHUNK = 1 << 20


@frozen
class NameRules:
    """The names that are accepted by the file system to which archives are extracted."""

    takes_bytes: bool = sys.platform.startswith("linux")
    """True if a name need not be text."""
    is_windows: bool = os.name == "nt"

    def name_of(self, part: bytes) -> str:
        """Return the name of one part of a path on this file system."""
        if self.is_windows:
            return for_windows(encoded(part))
        return os.fsdecode(part) if self.takes_bytes else encoded(part)


@frozen
class ZipArchives:
    """Packs and extracts zip archives as streams."""

    limits: ArchiveLimits = field(factory=ArchiveLimits)
    names: NameRules = field(factory=NameRules)

    def check(self, paths: Sequence[Path], script: Path) -> None:
        """Raise `InvalidInput` with all problems of submitting *paths* with *script*."""
        _problems(_named(paths), script).raise_if_any()

    def pack(self, paths: Sequence[Path], archive: Path) -> Packed:
        """Pack files and directories, each under the last part of its path."""
        stream, left_out = ZipStream(), LeftOut()
        with archive.open("wb") as file:
            for path, name in _named(paths):
                for piece in _packed(stream, InputWalk(path, name, left_out)):
                    file.write(piece)
                    self._check_count(stream)
            file.writelines(stream.finish())
        return Packed(Contents(stream.files, stream.total_bytes), left_out.named(), left_out.count)

    def extract(
        self,
        archives: Sequence[Path],
        into: Path,
        promised: Contents | None = None,
        *,
        unlimited: bool = False,
        wanted: Callable[[str], bool] = any_file,
    ) -> tuple[str, ...]:
        """Extract into the new directory *into*."""
        limits = self.limits if promised is None else self.limits.promised()
        extraction = _Extraction(into, self.names, limits.waived() if unlimited else limits, wanted)
        with as_workspace_problem(f"extract into {into}"):
            contents = extraction.look(archives)
            if promised is not None and not unlimited:
                check_promise(contents, promised)
            if not unlimited:
                check_room(extraction.wanted_bytes, into.parent)
            try:
                return extraction.run(archives)
            except BaseException:
                shutil.rmtree(into, ignore_errors=True)
                raise

    def _check_count(self, stream: ZipStream) -> None:
        """Raise `InvalidInput` for more than an agent extracts: it must not refuse what is accepted here."""
        if stream.files > self.limits.entries or stream.directory_bytes > self.limits.directory_bytes:
            raise InvalidInput(
                f"the inputs are more than {self.limits.entries} files, or their names are longer than "
                f"{self.limits.directory_bytes >> 20} MiB: put them into one archive, with tar for "
                "example, and unpack that in the script"
            )


# Packing -----------------------------------------------------------------------------------------


def _named(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    return [(path, path.resolve().name if path.name in {"", ".."} else path.name) for path in paths]


def _problems(named: Sequence[tuple[Path, str]], script: Path) -> Problems:
    problems = Problems()
    seen: dict[str, Path] = {}
    for path, name in named:
        shown = on_one_line(path)
        if not path.exists():
            leads = "it is a broken link" if path.is_symlink() else "no such file or directory"
            problems.add(f"input {shown}: {leads}")
        elif not name:
            problems.add(f"input {shown}: it has no name")
        elif not (path.is_file() or path.is_dir()):
            problems.add(f"input {shown}: neither a file nor a directory")
        elif twin := _twin(path, name, seen, script):
            problems.add(f"input {shown}: {twin} has the same name in the work directory; rename one")
        elif path.is_file() and not os.access(path, os.R_OK):
            problems.add(f"input {shown}: cannot be read")
        seen.setdefault(name, path)
    return problems


def _twin(path: Path, name: str, seen: Mapping[str, Path], script: Path) -> str:
    """Return, in words, what else would have *name* in the work directory; empty if nothing."""
    if name in seen:
        return on_one_line(seen[name])
    is_the_script_s = name == script.name and script.exists() and not path.samefile(script)
    return "the script" if is_the_script_s else ""


def _packed(stream: ZipStream, walk: InputWalk) -> Iterator[bytes]:
    for entry in walk.inputs():
        raw = os.fsencode(entry.name)
        if entry.is_directory:
            stream.add_directory(raw, entry.info)
            yield b""
            continue
        try:
            with open(entry.path, "rb") as source:  # noqa: PTH123 (names are kept as they are)
                yield from stream.add_file(raw, os.fstat(source.fileno()), source)
        except OSError as error:
            raise InvalidInput(
                f"input {on_one_line(entry.path)}: cannot be read: {error.strerror or error}"
            ) from error
        yield b""


# Extracting --------------------------------------------------------------------------------------


@define
class _Extraction:
    into: Path
    names: NameRules
    limits: ArchiveLimits
    wanted: Callable[[str], bool]
    wanted_bytes: int = 0
    """The number of bytes that the wanted files unpack to."""
    refused: LeftOut = field(factory=LeftOut)
    links: list[tuple[list[bytes], bytes]] = field(factory=list)
    taken: dict[str, int] = field(factory=dict)
    """The number of files per name, where two names count as one if the file system confuses them."""
    is_case_blind: bool = False

    def look(self, archives: Sequence[Path]) -> Contents:
        """Check the tables of contents of the archives; return their total contents."""
        files = total_bytes = 0
        for archive in archives:
            with (
                _readable(archive),
                opened_archive(archive, self.limits, may_link=True) as (opened, contents),
            ):
                files += contents.files
                total_bytes += contents.total_bytes
                self.wanted_bytes += sum(entry.file_size for entry in self._wanted(opened))
        return Contents(files, total_bytes)

    def run(self, archives: Sequence[Path]) -> tuple[str, ...]:
        self.into.mkdir()
        self.is_case_blind = _is_case_blind(self.into)
        for archive in archives:
            with _readable(archive), opened_archive(archive, self.limits, may_link=True) as (opened, _):
                for entry in self._wanted(opened):
                    self._extract(opened, entry)
        for parts, target in self.links:
            self._link(parts, target)
        return self.refused.named()

    def _wanted(self, archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
        """Yield the entries to extract: all, or files and links; their directories are made as needed."""
        if self.wanted is any_file:
            return iter(archive.infolist())
        return (
            entry
            for entry in archive.infolist()
            if not entry.is_dir() and self.wanted(os.fsdecode(b"/".join(parts_of(entry))))
        )

    def _extract(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
        parts = parts_of(entry)
        if is_link(entry):
            self.links.append((parts, archive.read(entry)))
        elif entry.is_dir():
            self._directory(parts)
        else:
            target = self._free_place(parts)
            with target.open("xb") as file, archive.open(entry) as source:
                shutil.copyfileobj(source, file, _CHUNK)
            if entry.external_attr >> 16 & stat.S_IXUSR:
                target.chmod(target.stat().st_mode | stat.S_IXUSR)

    def _directory(self, parts: Sequence[bytes]) -> Path:
        directory = self.into.joinpath(*(self.names.name_of(part) for part in parts))
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise ArchiveRejected(
                f"the archive was refused: {_shown(parts)!r} is both a file and a directory"
            ) from error
        return directory

    def _free_place(self, parts: Sequence[bytes]) -> Path:
        """Return the place for a file; a file that would replace another one here gets a different name."""
        wanted = target = self._directory(parts[:-1]) / self.names.name_of(parts[-1])
        while number := self.taken.get(self._key(target), 0):
            self.taken[self._key(wanted)] = number + 1
            target = wanted.with_name(f"{wanted.name}~{self.taken[self._key(wanted)]}")
        self.taken[self._key(target)] = 1
        if target != wanted:
            self.refused.note(
                os.fsdecode(b"/".join(parts)), f"another file has this name here: see {target.name}"
            )
        return target

    def _key(self, target: Path) -> str:
        if not self.is_case_blind:
            return str(target)
        return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(target)).casefold())

    def _link(self, parts: list[bytes], target: bytes) -> None:
        path = os.fsdecode(b"/".join(parts))
        leads = os.fsdecode(target)
        if leads_outside(path, leads) or (self.names.is_windows and {"\\", ":"} & set(leads)):
            self.refused.note(
                path, f"a link that would lead out of the directory, to {encoded(target)[:200]}"
            )
            return
        try:
            os.symlink(leads, self._free_place(parts))  # noqa: PTH211 (the target is kept as it is)
        except OSError as error:
            self.refused.note(path, f"a link to {encoded(target)[:200]}: {error.strerror or error}")


def _shown(parts: Sequence[bytes]) -> str:
    return encoded(b"/".join(parts))[:200]


@contextmanager
def _readable(archive: Path) -> Iterator[None]:
    """Translate the errors of the zipfile module for a damaged archive into `ArchiveRejected`."""
    try:
        yield
    except BAD_ARCHIVE as error:
        raise ArchiveRejected(f"{archive.name} cannot be read: {error}") from error


def _is_case_blind(directory: Path) -> bool:
    """Return whether the file system treats names that differ only in case as the same."""
    probe = directory / ".cloudq-case"
    probe.touch()
    try:
        return (directory / ".CLOUDQ-CASE").exists()
    finally:
        probe.unlink()
