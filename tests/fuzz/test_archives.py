"""Test archives from an attacker: nothing is written outside their directory, and nothing is unbounded."""

from __future__ import annotations

import shutil
import stat
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.archive_checks import ArchiveLimits
from cloudq.adapters.archives import ZipArchives
from cloudq.adapters.workspace.unpack import extract_archive
from cloudq.domain.errors import ArchiveRejected, CloudqError
from tests.fuzz import zips
from tests.fuzz.damage import damaged_bytes
from tests.fuzz.hostile_world import SECRET

MB = 1 << 20
LIMITS = ArchiveLimits(entries=1000, directory_bytes=MB, total_bytes=64 * MB, ratio=200, free_bytes=MB)


@define
class Place:
    """A directory to extract into, with files beside it that must not change."""

    folder: Path

    def __attrs_post_init__(self) -> None:
        self.into.parent.mkdir(parents=True)
        for name in ("evil", "outer/evil", "outer/zeros"):
            (self.folder / name).write_bytes(SECRET)

    @property
    def into(self) -> Path:
        return self.folder / "outer/into"

    def check(self) -> None:
        found = {
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if self.into not in path.parents
        }
        assert found <= {"evil", "outer", "outer/evil", "outer/zeros", "outer/into", "packed.zip"}
        assert all(
            (self.folder / name).read_bytes() == SECRET for name in ("evil", "outer/evil", "outer/zeros")
        )
        links = [path for path in self.into.rglob("*") if path.is_symlink()]
        assert all(path.resolve().is_relative_to(self.into.resolve()) for path in links)
        assert (
            sum(path.stat().st_size for path in self.into.rglob("*") if path.is_file()) <= LIMITS.total_bytes
        )


def by_agent(archive: Path, into: Path) -> None:
    into.mkdir()
    extract_archive(archive, into, LIMITS)


def by_client(archive: Path, into: Path) -> None:
    if refused := ZipArchives(LIMITS).extract([archive], into):
        raise ArchiveRejected(str(refused))


WHO = pytest.mark.parametrize("extract", [by_agent, by_client])
Extract = Callable[[Path, Path], None]

REFUSED = {
    "a path upwards": zips.an_archive(("../evil", b"x")),
    "a path down and upwards": zips.an_archive(("a/../../evil", b"x")),
    "an absolute path": zips.an_archive(("/tmp/evil", b"x")),
    "two slashes": zips.an_archive(("//evil", b"x")),
    "nothing but dots": zips.an_archive(("..", b"x")),
    "a name of 300 characters": zips.an_archive(("x" * 300, b"x")),
    "a link": zips.an_archive(("a", b"/etc"), mode=stat.S_IFLNK | 0o777),
    "a link and a file below it": zips.an_archive(("a/b", b"x"), ("a", b"/tmp"), mode=stat.S_IFLNK | 0o777),
    "a block device": zips.an_archive(("disk", b""), mode=stat.S_IFBLK | 0o666),
    "a character device": zips.an_archive(("mem", b""), mode=stat.S_IFCHR | 0o666),
    "a fifo": zips.an_archive(("pipe", b""), mode=stat.S_IFIFO | 0o666),
    "a socket": zips.an_archive(("socket", b""), mode=stat.S_IFSOCK | 0o666),
    "a zip bomb": zips.a_bomb(40 * MB),
    "entries that overlap": zips.overlapping(200, MB),
    "entries that quote each other": zips.quoted_overlap(200, MB),
    "2000 entries": zips.with_many_entries(2000),
    "2000 entries behind a hidden table of contents": zips.with_many_entries(2000, hides_its_size=True),
    "a table of contents of 4 MB": zips.with_many_entries(90_000),
    "a table of contents of 4 MB that hides": zips.with_many_entries(90_000, hides_its_size=True),
    "a file where a directory must be": zips.an_archive(("a", b"x"), ("a/b", b"x")),
    "no archive": b"PK\3\4 rubbish",
}  # fmt: skip


@WHO
@pytest.mark.parametrize("what", REFUSED)
def test_an_archive_with_it_is_refused_in_little_memory(what: str, extract: Extract, tmp_path: Path) -> None:
    place = Place(tmp_path / "folder")
    (tmp_path / "folder/packed.zip").write_bytes(REFUSED[what])
    tracemalloc.start()
    try:
        with pytest.raises((ArchiveRejected, OSError)) as told:
            extract(tmp_path / "folder/packed.zip", place.into)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert isinstance(told.value, ArchiveRejected) or what == "a file where a directory must be"
    assert peak < 8 * MB
    place.check()


@WHO
def test_archives_in_an_archive_stay_closed(extract: Extract, tmp_path: Path) -> None:
    place = Place(tmp_path / "folder")
    (tmp_path / "folder/packed.zip").write_bytes(zips.nested(40 * MB, 3))
    extract(tmp_path / "folder/packed.zip", place.into)

    assert [path.name for path in place.into.iterdir()] == ["inner.zip"]
    assert (place.into / "inner.zip").stat().st_size < MB
    place.check()


@WHO
def test_names_that_another_system_would_read_otherwise_are_names_here(
    extract: Extract, tmp_path: Path
) -> None:
    place = Place(tmp_path / "folder")
    names = ["..\\evil", "C:\\evil", "\x1b[2J", "-rf", "$(touch evil)", "con", "\u202egnp"]
    (tmp_path / "folder/packed.zip").write_bytes(zips.an_archive(*((name, b"x") for name in names)))
    extract(tmp_path / "folder/packed.zip", place.into)

    assert len(list(place.into.iterdir())) == len(names)
    place.check()


@WHO
def test_no_more_is_unpacked_than_an_archive_tells(extract: Extract, tmp_path: Path) -> None:
    place = Place(tmp_path / "folder")
    (tmp_path / "folder/packed.zip").write_bytes(zips.lying_about_its_size(1000, 30 * MB))
    extract(tmp_path / "folder/packed.zip", place.into)

    assert (place.into / "zeros").stat().st_size == 1000


SEEDS = (
    zips.an_archive(("a/b", b"hello" * 50), ("a/c/", b""), ("tool", b"x" * 3000), mode=stat.S_IFREG | 0o755),
    zips.an_archive(("a", b"stored"), ("b", b"too"), compressed=False),
    zips.an_archive(("d/a", b"x"), ("d/link", b"../d/a"), mode=stat.S_IFLNK | 0o777),
    zips.overlapping(3, 1000),
    zips.quoted_overlap(3, 1000),
)


@WHO
@given(content=st.sampled_from(SEEDS).flatmap(damaged_bytes))
def test_a_damaged_archive_is_refused_or_stays_in_its_directory(extract: Extract, content: bytes) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        place = Place(folder / "folder")
        (folder / "folder/packed.zip").write_bytes(content)
        try:
            extract(folder / "folder/packed.zip", place.into)
        except (CloudqError, OSError):
            place.into.mkdir(exist_ok=True)
        place.check()
    finally:
        shutil.rmtree(folder)
