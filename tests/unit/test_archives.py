"""Zip archives on the client's side: what goes along with a job, and what comes back."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from cloudq.adapters.archives import ZipArchives
from cloudq.domain.errors import ArchiveRejected, InvalidInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a file, an empty directory, a tool and a link."""
    folder = tmp_path / "data"
    (folder / "empty").mkdir(parents=True)
    (folder / "größe 1.txt").write_text("one\n")
    (folder / "tool").write_text("#!/bin/sh\n")
    (folder / "tool").chmod(0o755)
    (folder / "link").symlink_to("größe 1.txt")
    return folder


def round_trip(tmp_path: Path, *paths: Path) -> Path:
    archives = ZipArchives()
    archives.pack(paths, tmp_path / "input.zip")
    archives.extract(tmp_path / "input.zip", tmp_path / "out")
    return tmp_path / "out"


def test_a_directory_comes_back_as_it_was(folder: Path, tmp_path: Path) -> None:
    out = round_trip(tmp_path, folder)

    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*")) == [
        "data", "data/empty", "data/größe 1.txt", "data/link", "data/tool",
    ]  # fmt: skip
    assert (out / "data" / "größe 1.txt").read_text() == "one\n"
    assert (out / "data" / "tool").stat().st_mode & stat.S_IXUSR


def test_a_link_to_a_file_goes_along_as_the_file(folder: Path, tmp_path: Path) -> None:
    out = round_trip(tmp_path, folder)

    assert (out / "data" / "link").read_text() == "one\n"
    assert not (out / "data" / "link").is_symlink()


def test_the_current_directory_goes_along_under_its_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)

    assert (round_trip(tmp_path, Path()) / "data" / "tool").is_file()


def test_every_problem_of_inputs_is_told_at_once(folder: Path, tmp_path: Path) -> None:
    twin = tmp_path / "other" / "data"
    twin.mkdir(parents=True)

    with pytest.raises(InvalidInput) as caught:
        ZipArchives().check([folder, tmp_path / "nothing", twin], tmp_path / "job.sh")

    assert caught.value.problems == (
        f"input {tmp_path / 'nothing'}: there is no such file or directory",
        f"input {twin}: {folder} has the same name in the work directory; rename one",
    )


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a//b", "."])
def test_an_archive_that_would_leave_its_directory_is_refused(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "output.zip", "w") as archive:
        archive.writestr(name, "evil")

    with pytest.raises(ArchiveRejected, match="outside its directory"):
        ZipArchives().extract(tmp_path / "output.zip", tmp_path / "out")
    assert list((tmp_path / "out").rglob("*")) == []


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "output.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")

    with pytest.raises(ArchiveRejected, match="neither a file nor a directory"):
        ZipArchives().extract(tmp_path / "output.zip", tmp_path / "out")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "output.zip").write_bytes(b"PK\3\4 and nonsense")

    with pytest.raises(ArchiveRejected, match="cannot be read"):
        ZipArchives().extract(tmp_path / "output.zip", tmp_path / "out")
