"""Zip archives on the client's side: the inputs of a job, and its outputs."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from cloudq.adapters.archive_checks import ArchiveLimits
from cloudq.adapters.archives import NameRules, ZipArchives
from cloudq.domain.errors import ArchiveRejected, InvalidInput, WorkspaceFull
from cloudq.domain.jobs.contents import Contents


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
    assert archives.extract([tmp_path / "input.zip"], tmp_path / "out") == ()
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


def test_links_to_directories_are_followed_and_circles_named(tmp_path: Path) -> None:
    proj, real = tmp_path / "proj", tmp_path / "real"
    for folder in (proj / "data", real):
        folder.mkdir(parents=True)
    (real / "train.csv").write_text("d")
    (proj / "data" / "real").symlink_to(real)
    (proj / "data" / "loop").symlink_to("..")
    (proj / "dangling").symlink_to("/nonexistent/x")
    os.mkfifo(proj / "pipe")
    (tmp_path / "link").symlink_to(proj)

    packed = ZipArchives().pack([tmp_path / "link"], tmp_path / "input.zip")
    ZipArchives().extract([tmp_path / "input.zip"], tmp_path / "out", packed.contents)

    assert (tmp_path / "out/link/data/real/train.csv").read_text() == "d"
    assert packed.left_out == (
        "link/dangling (a broken link: No such file or directory)",
        "link/data/loop (a link to a directory that contains it)",
        "link/pipe (a fifo)",
    )
    assert packed.left_out_count == 3


def test_more_than_an_agent_takes_is_refused_when_it_is_packed(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(3):
        (tmp_path / "many" / f"{number}").touch()

    with pytest.raises(InvalidInput, match="more than 2 files"):
        ZipArchives(TIGHT).pack([tmp_path / "many"], tmp_path / "input.zip")


@pytest.mark.parametrize("name", [b"run:1", b"two\nlines", b"r\xe9", b"back\\slash", b"x" * 255])
def test_a_single_file_may_be_called_as_one_in_a_directory(tmp_path: Path, name: bytes) -> None:
    file = tmp_path / os.fsdecode(name)
    file.write_text("x")
    ZipArchives().check([file], tmp_path / "job.sh")

    out = round_trip(tmp_path, file)

    assert [os.fsencode(path.name) for path in out.iterdir()] == [name]


def test_a_single_input_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")

    with pytest.raises(InvalidInput) as caught:
        ZipArchives().check([tmp_path / "pipe", tmp_path / "link"], tmp_path / "job.sh")

    assert caught.value.problems == (
        f"input {tmp_path / 'pipe'}: neither a file nor a directory",
        f"input {tmp_path / 'link'}: it is a broken link",
    )


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
        f"input {tmp_path / 'nothing'}: no such file or directory",
        f"input {twin}: {folder} has the same name in the work directory; rename one",
    )


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a//b", "."])
def test_an_archive_that_would_leave_its_directory_is_refused(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "output.zip", "w") as archive:
        archive.writestr(name, "evil")

    with pytest.raises(ArchiveRejected, match="outside its directory"):
        ZipArchives().extract([tmp_path / "output.zip"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def archive_of(path: Path, *entries: tuple[str, str, int]) -> Path:
    """Make an archive of names, contents and kinds."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content, kind in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (kind | 0o777) << 16
            archive.writestr(entry, content)
    return path


LINK, FILE = stat.S_IFLNK, stat.S_IFREG


def test_links_that_stay_inside_are_made_and_others_refused_by_name(tmp_path: Path) -> None:
    packed = archive_of(
        tmp_path / "output.zip",
        ("latest", "d", LINK), ("d/file", "x", FILE), ("d/up", "../top", LINK), ("top", "t", FILE),
        ("passwd", "/etc/passwd", LINK), ("d/out", "../../x", LINK), ("through", "latest/../..", LINK),
    )  # fmt: skip

    refused = ZipArchives().extract([packed], tmp_path / "out")

    leads_out = "a link that would lead out of the directory, to"
    assert refused == (
        f"passwd ({leads_out} /etc/passwd)",
        f"d/out ({leads_out} ../../x)",
        f"through ({leads_out} latest/../..)",
    )
    out = tmp_path / "out"
    assert ((out / "latest/file").read_text(), (out / "d/up").read_text()) == ("x", "t")
    assert sorted(path.name for path in out.iterdir()) == ["d", "latest", "top"]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    one = archive_of(tmp_path / "output.zip", ("a", "b", LINK), ("b", "../elsewhere", LINK))
    two = archive_of(tmp_path / "output.2.zip", ("a/evil", "x", FILE), ("b/evil", "x", FILE))

    refused = ZipArchives().extract([one, two], tmp_path / "out")

    assert len(refused) == 2
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_an_archive_holds_what_was_promised_or_is_refused(tmp_path: Path) -> None:
    packed = archive_of(tmp_path / "output.zip", ("a", "12345", FILE), ("b", "12345", FILE))

    for promised in (Contents(1, 10), Contents(2, 9)):
        with pytest.raises(ArchiveRejected, match="the job's record states"):
            ZipArchives().extract([packed], tmp_path / "out", promised)
        assert not (tmp_path / "out").exists()
    ZipArchives().extract([packed], tmp_path / "out", Contents(2, 10))


TIGHT = ArchiveLimits(entries=2, directory_bytes=10_000, total_bytes=10, ratio=1, free_bytes=0)


def test_limits_of_size_can_be_waived(tmp_path: Path) -> None:
    packed = archive_of(tmp_path / "output.zip", *((name, "12345", FILE) for name in "abc"))
    archives = ZipArchives(TIGHT)

    with pytest.raises(ArchiveRejected):
        archives.extract([packed], tmp_path / "out")
    archives.extract([packed], tmp_path / "out", unlimited=True)

    assert len(list((tmp_path / "out").iterdir())) == 3


def test_what_does_not_fit_the_disk_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = archive_of(tmp_path / "output.zip", ("a", "12345", FILE))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=4, total=4))

    with pytest.raises(WorkspaceFull, match="5 bytes are needed"):
        ZipArchives().extract([packed], tmp_path / "out", Contents(1, 5))
    assert not (tmp_path / "out").exists()


def test_names_that_a_file_system_takes_for_one_get_one_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudq.adapters.archives._is_case_blind", lambda _: True)
    names = ("Makefile", "makefile", "MAKEFILE", "\u00e9", "e\u0301", "other")
    packed = archive_of(tmp_path / "output.zip", *((name, name, FILE) for name in names))

    refused = ZipArchives().extract([packed], tmp_path / "out")

    brought = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert brought == {
        "Makefile": "Makefile", "makefile~2": "makefile", "MAKEFILE~3": "MAKEFILE",
        "\u00e9": "\u00e9", "e\u0301~2": "e\u0301", "other": "other",
    }  # fmt: skip
    assert refused[0] == "makefile (another file has this name here: see makefile~2)"
    assert len(refused) == 3


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        (NameRules(takes_bytes=True, is_windows=False), {b"r\xe9", b"r%E9", b"a:b ", b"con"}),
        (NameRules(takes_bytes=False, is_windows=False), {b"r%E9", b"r%25E9", b"a:b ", b"con"}),
        (NameRules(takes_bytes=False, is_windows=True), {b"r%25E9", b"r%2525E9", b"a%3Ab%20", b"%63on"}),
    ],
    ids=["Linux", "macOS", "Windows"],
)
def test_each_file_gets_a_name_that_its_system_takes(
    tmp_path: Path, rules: NameRules, names: set[bytes]
) -> None:
    (tmp_path / "in").mkdir()
    for name in (b"r\xe9", b"r%E9", b"a:b ", b"con"):
        (tmp_path / "in" / os.fsdecode(name)).write_bytes(name)
    ZipArchives().pack([tmp_path / "in"], tmp_path / "input.zip")

    ZipArchives(names=rules).extract([tmp_path / "input.zip"], tmp_path / "out")

    assert {os.fsencode(path.name) for path in (tmp_path / "out/in").iterdir()} == names


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "output.zip").write_bytes(b"PK\3\4 and nonsense")

    with pytest.raises(ArchiveRejected, match="cannot be read"):
        ZipArchives().extract([tmp_path / "output.zip"], tmp_path / "out")
