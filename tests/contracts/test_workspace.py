"""Test the contract of a workspace on the implementation for this machine's disk."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import socket
import stat
import struct
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import define, evolve, field

from cloudq.adapters.archive_checks import ArchiveLimits
from cloudq.adapters.archives import ZipArchives
from cloudq.adapters.process import format_identity, own_identity
from cloudq.adapters.schedulers.local.scheduler import LOCAL_DIALECT
from cloudq.adapters.workspace import DirectoryWorkspace, pack
from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.domain.errors import (
    ArchiveRejected,
    InvalidInput,
    StoreUnavailable,
    WorkspaceFull,
    WorkspaceProblem,
)
from cloudq.domain.jobs.contents import Contents
from cloudq.domain.jobs.job_shell import BLOCKED, JobShellPlan
from cloudq.domain.names import ClaimTag
from cloudq.ports.workspace import NO_OUTPUT, FirstMiss, SpaceOwner, TaskRecords
from cloudq.testing.fake_clock import FakeClock
from tests.parts.serial_ids import SerialIds
from tests.parts.shell_claim import attempt_of

TAG = ClaimTag("3f7e7681", 1)
OWNER = SpaceOwner("alpha", TAG, "a nonce")
PLAN = JobShellPlan(TAG, "/c", "/w", "/w/run.sh", has_shebang=True)
SMALL = ArchiveLimits(entries=5, directory_bytes=4096, total_bytes=4000, ratio=10, free_bytes=100)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def workspace(tmp_path: Path, clock: FakeClock) -> DirectoryWorkspace:
    return DirectoryWorkspace(tmp_path / "home", clock, SerialIds(0xABCDEF))


@pytest.fixture
def space(workspace: DirectoryWorkspace) -> DirectoryClaimSpace:
    space = workspace.space(TAG)
    space.create(OWNER)
    return space


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# Homes and spaces ------------------------------------------------------------------------------


def test_a_home_is_named_once(workspace: DirectoryWorkspace, tmp_path: Path, clock: FakeClock) -> None:
    other = DirectoryWorkspace(tmp_path / "home", clock, SerialIds(0x111111))

    assert workspace.home == workspace.home == other.home


def test_a_home_that_somebody_spoilt_is_a_problem(workspace: DirectoryWorkspace) -> None:
    workspace.home  # noqa: B018 (the access creates it)
    (workspace.root / "home").write_text("../../etc")

    with pytest.raises(WorkspaceProblem, match="home"):
        workspace.home  # noqa: B018


def test_a_space_that_does_not_exist_has_no_owner(workspace: DirectoryWorkspace) -> None:
    space = workspace.space(TAG)

    assert space.owner() is None
    assert space.fingerprint() is None
    assert space.attempts() == ()
    assert space.records([None, 3]) == {None: TaskRecords(), 3: TaskRecords()}
    space.remove()


def test_a_space_is_made_once_for_its_owner(space: DirectoryClaimSpace) -> None:
    (space.work_dir / "kept").write_text("")
    space.create(OWNER)

    assert space.owner() == OWNER
    assert (space.work_dir / "kept").exists()


def test_nobody_else_can_look_inside(workspace: DirectoryWorkspace, space: DirectoryClaimSpace) -> None:
    script = space.install_script("run.sh", b"#!/bin/bash\n")
    space.install_job_shell(PLAN, LOCAL_DIALECT)

    assert mode_of(workspace.root / "cache") == mode_of(space.work_dir) == mode_of(space.control_dir) == 0o700
    assert mode_of(script) == mode_of(space.job_shell) == 0o700
    assert mode_of(space.control_dir / "owner.json") == 0o600


def test_a_job_shell_is_read_as_it_was_written(space: DirectoryClaimSpace) -> None:
    space.install_job_shell(evolve(PLAN, header_lines=("#SBATCH é",)), LOCAL_DIALECT)

    job_shell = space.read_job_shell()

    assert job_shell is not None
    assert job_shell.body.startswith("#!/bin/bash\n#SBATCH é\n".encode())
    assert job_shell.body == space.job_shell.read_bytes()


def test_a_job_shell_that_was_removed_is_none_and_a_link_is_an_error(space: DirectoryClaimSpace) -> None:
    assert space.read_job_shell() is None

    space.job_shell.symlink_to("/proc/self/environ")
    with pytest.raises(WorkspaceProblem, match="cannot read"):
        space.read_job_shell()


def test_each_attempt_has_a_job_shell_that_says_so(space: DirectoryClaimSpace) -> None:
    space.job_shell.write_text("#!/bin/bash\n#SBATCH é\ncq_attempt=1\ncq_attempt=1\n")

    second = space.job_shell_for(2)

    assert space.job_shell_for(1) == space.job_shell
    assert [attempt_of(path.read_text()) for path in (space.job_shell, second)] == [1, 2]
    assert second.read_text() == "#!/bin/bash\n#SBATCH é\ncq_attempt=2\ncq_attempt=1\n"
    assert second.parent == space.control_dir
    assert mode_of(second) == 0o700
    assert space.job_shell_for(2) == second


@pytest.mark.parametrize(
    "other", [SpaceOwner("beta", TAG, "a nonce"), SpaceOwner("alpha", TAG, "another nonce")]
)
def test_a_space_of_another_claim_is_refused(space: DirectoryClaimSpace, other: SpaceOwner) -> None:
    with pytest.raises(WorkspaceProblem, match="another"):
        space.create(other)


def test_a_space_that_does_not_say_whose_it_is_is_refused(space: DirectoryClaimSpace) -> None:
    (space.control_dir / "owner.json").write_text("[1, 2")

    with pytest.raises(WorkspaceProblem, match=r"owner\.json"):
        space.owner()


@pytest.mark.parametrize("kind", ["directory", "file", "link", "link to nowhere"])
def test_a_work_directory_that_was_there_before_is_refused(
    workspace: DirectoryWorkspace, tmp_path: Path, kind: str
) -> None:
    space = workspace.space(TAG)
    space.work_dir.parent.mkdir(parents=True)
    make = {
        "directory": space.work_dir.mkdir,
        "file": space.work_dir.touch,
        "link": lambda: space.work_dir.symlink_to(tmp_path),
        "link to nowhere": lambda: space.work_dir.symlink_to(tmp_path / "nowhere"),
    }
    make[kind]()

    with pytest.raises(WorkspaceProblem, match="not made for claim"):
        space.create(OWNER)


def test_a_work_directory_is_finished_after_a_crash(space: DirectoryClaimSpace) -> None:
    space.work_dir.rename(space.control_dir / "work_dir.new")

    space.create(OWNER)

    assert space.work_dir.is_dir()


def test_later_claims_have_directories_of_their_own(workspace: DirectoryWorkspace) -> None:
    first, second = workspace.space(TAG), workspace.space(ClaimTag(TAG.job_id, 2))

    assert (first.work_dir.name, second.work_dir.name) == ("3f7e7681", "3f7e7681.2")
    assert second.control_dir == workspace.root / "cache" / ".cloudq" / "3f7e7681.2"


@pytest.mark.parametrize("name", ["../run.sh", "/etc/passwd", "..", "", "a/b", "a\nb"])
def test_a_script_is_a_plain_file_in_the_work_directory(space: DirectoryClaimSpace, name: str) -> None:
    with pytest.raises(InvalidInput):
        space.install_script(name, b"")


def test_tools_are_executables_out_of_the_work_directory(space: DirectoryClaimSpace) -> None:
    directory = space.install_tools()
    (directory / "cq_image").write_bytes(b"old")
    assert space.install_tools() == directory

    assert (directory / "cq_image").read_bytes().startswith(b"#!/bin/bash\n")
    assert (mode_of(directory), mode_of(directory / "cq_image")) == (0o700, 0o700)
    assert space.work_dir not in directory.parents


def test_options_are_kept_word_by_word(space: DirectoryClaimSpace) -> None:
    words = ("-l", "h_rt=1:00:00", "", "a b", "it's\n", "é")
    space.keep_options(words)

    assert space.kept_options() == words


@pytest.mark.parametrize("text", [None, "", "{", "3", "null"])
def test_options_that_are_not_there_are_a_problem_and_not_none(
    space: DirectoryClaimSpace, text: str | None
) -> None:
    if text is not None:
        (space.control_dir / "options").write_text(text)

    with pytest.raises(WorkspaceProblem, match="does not hold the submit options"):
        space.kept_options()


def test_a_script_replaces_a_link_and_does_not_follow_it(space: DirectoryClaimSpace, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("safe")
    (space.work_dir / "run.sh").symlink_to(tmp_path / "target")

    assert space.install_script("run.sh", b"new").read_bytes() == b"new"
    assert (tmp_path / "target").read_text() == "safe"


# Preparation -------------------------------------------------------------------------------------


def made(space: DirectoryClaimSpace, name: str, data: bytes = b"data") -> DirectoryClaimSpace:
    """Prepare everything that a hand-over needs, without publishing it."""
    making = space.making(name)
    making.create(OWNER)
    (making.work_dir / "data").write_bytes(data)
    making.install_script("run.sh", b"#!/bin/bash\n")
    making.install_job_shell(PLAN, LOCAL_DIALECT)
    making.note_baseline()
    return making


def test_what_is_made_gets_its_names_all_at_once(workspace: DirectoryWorkspace) -> None:
    space = workspace.space(TAG)
    making = made(space, "3.a-nonce")
    assert (space.owner(), space.is_prepared(), space.work_dir.exists()) == (None, False, False)

    making.publish()
    space.create(OWNER)

    assert (space.owner(), space.is_prepared()) == (OWNER, True)
    assert {path.name for path in space.work_dir.iterdir()} == {"data", "run.sh"}
    assert space.job_shell.is_file()
    assert not making.control_dir.exists()
    assert space.pack_output(lambda *_: 0).archives == 0  # the baseline applies to the new names


def test_work_directory_gets_its_name_after_a_crash(workspace: DirectoryWorkspace) -> None:
    space = workspace.space(TAG)
    made(space, "3.a-nonce").publish()

    workspace.space(TAG).create(OWNER)

    assert (space.work_dir / "data").read_bytes() == b"data"


def test_what_is_published_is_never_replaced(workspace: DirectoryWorkspace) -> None:
    space = workspace.space(TAG)
    first, second = made(space, "3.a-nonce", b"first"), made(space, "4.a-nonce", b"second")
    first.publish()
    space.create(OWNER)
    before = (space.work_dir / "data").stat()

    with pytest.raises(WorkspaceProblem, match="another agent created"):
        second.publish()
    second.discard()

    assert (space.work_dir / "data").stat() == before
    assert [path.name for path in space.control_dir.parent.iterdir()] == [str(TAG)]


def test_of_many_that_publish_at_once_one_wins(workspace: DirectoryWorkspace) -> None:
    space = workspace.space(TAG)
    makings = [made(space, f"{n}.a-nonce", b"%d" % n) for n in range(8)]
    won: list[int] = []

    def publish(n: int, making: DirectoryClaimSpace) -> None:
        with contextlib.suppress(WorkspaceProblem):
            making.publish()
            won.append(n)

    threads = [threading.Thread(target=publish, args=each) for each in enumerate(makings)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    space.create(OWNER)

    assert [b"%d" % n for n in won] == [(space.work_dir / "data").read_bytes()]


def test_what_was_removed_while_it_was_made_is_told_as_trouble_of_the_disk(
    workspace: DirectoryWorkspace,
) -> None:
    making = made(workspace.space(TAG), "3.a-nonce")
    shutil.rmtree(making.control_dir)

    with pytest.raises(WorkspaceProblem, match="cannot access"):
        making.publish()


def test_space_that_was_blocked_first_is_not_published_over(workspace: DirectoryWorkspace) -> None:
    space = workspace.space(TAG)
    making = made(space, "3.a-nonce")
    space.create(OWNER)
    space.block(None)

    with pytest.raises(WorkspaceProblem):
        making.publish()

    assert space.records([None])[None].holder == BLOCKED
    assert list(space.work_dir.iterdir()) == []


def test_rename_whose_answer_was_lost_counts_by_what_is_there(
    workspace: DirectoryWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = workspace.space(TAG)
    making = made(space, "3.a-nonce")
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        real(path, target)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(Path, "rename", rename)

    making.publish()

    assert space.owner() == OWNER


def test_what_other_epochs_left_unpublished_is_removed(workspace: DirectoryWorkspace) -> None:
    space = workspace.space(TAG)
    made(space, "3.a-nonce")
    kept = made(space, "4.another")
    stranger = space.making("5.of-beta")
    stranger.create(SpaceOwner("beta", TAG, "a nonce"))

    workspace.remove_unpublished("alpha", 4)

    assert {path.name for path in kept.control_dir.parent.iterdir()} == {
        kept.control_dir.name,
        stranger.control_dir.name,
    }


# Attempts, locks and records -------------------------------------------------------------------


def test_an_attempt_is_begun_once(workspace: DirectoryWorkspace, space: DirectoryClaimSpace) -> None:
    files = space.begin_attempt(1, "sbatch 'a b'\nrm", 20)

    assert files == space.attempt_files(1)
    attempt = space.attempts()[0]
    assert (attempt.number, attempt.command, attempt.time_limit_s) == (1, "sbatch 'a b' rm", 20)
    assert attempt.boot_id == "boot-1"
    assert not workspace.is_process_gone(attempt.process)
    with pytest.raises(WorkspaceProblem, match="already begun"):
        space.begin_attempt(1, "sbatch", 20)


def test_attempts_come_in_order_and_a_spoilt_one_still_counts(space: DirectoryClaimSpace) -> None:
    for number in (1, 2, 10):
        space.begin_attempt(number, "sbatch", 20)
    (space.control_dir / "intent.2").write_bytes(b"\xff\0half")

    assert [attempt.number for attempt in space.attempts()] == [1, 2, 10]
    assert space.attempts()[1].command == ""


def test_a_process_that_is_another_by_now_is_gone(workspace: DirectoryWorkspace) -> None:
    pid, _, *rest = format_identity(own_identity()).split()

    assert workspace.is_process_gone(" ".join((pid, "1", *rest)))
    assert workspace.is_process_gone("")
    assert not workspace.is_process_gone(f"{pid} 1 another-boot 1 another-host")


def test_a_lock_has_one_winner(space: DirectoryClaimSpace) -> None:
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(space.block(None))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [BLOCKED] * 8
    assert space.records([None])[None] == TaskRecords(BLOCKED)


def test_who_was_first_keeps_the_lock(space: DirectoryClaimSpace) -> None:
    (space.control_dir / "lock.3").write_text("local_id=42\nhost=node1\n")

    assert space.block(3) == "42"
    assert space.block(4) == BLOCKED


def test_a_lock_that_cannot_be_read_blocks(space: DirectoryClaimSpace) -> None:
    (space.control_dir / "lock").write_bytes(b"")

    assert space.records([None])[None].holder is None
    assert space.block(None) == BLOCKED


def test_locks_go_on_when_a_file_can_have_no_more_names(
    space: DirectoryClaimSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link
    calls: list[object] = []

    def link(source: Path, target: Path, **options: bool) -> None:
        calls.append(source)
        if Path(source).name == BLOCKED:
            raise OSError(errno.EMLINK, "Too many links")
        real(source, target, **options)

    monkeypatch.setattr(os, "link", link)

    assert space.block(1) == BLOCKED
    assert calls


def record(space: DirectoryClaimSpace, **fields: object) -> TaskRecords:
    """Return the records that are read from an exit record with *fields*."""
    told = {"local_id": "42", "exit_code": 0} | fields
    (space.control_dir / "lock").write_text("local_id=42\n")
    (space.control_dir / "start.42").write_text("local_id=42\nhost=node1\ntime=2026-01-31T12:00:00Z\n")
    text = "".join(f"{name}={value}\n" for name, value in told.items())
    (space.control_dir / "exit").write_text(text)
    return space.records([None])[None]


def test_records_are_read_as_they_were_written(space: DirectoryClaimSpace) -> None:
    records = record(space, exit_code=7, signal="TERM", started="2026-01-31T12:00:00Z", stdout_size=9)

    assert records.holder == "42"
    assert records.start is not None
    assert records.start.host == "node1"
    assert records.exit is not None
    assert (records.exit.exit_code, records.exit.signal) == (7, "TERM")
    assert records.exit.started == records.start.time


@pytest.mark.parametrize(
    "fields",
    [
        {"exit_code": ""}, {"exit_code": "-1"}, {"exit_code": 256}, {"exit_code": "٣"},
        {"exit_code": "9" * 5000}, {"local_id": "43"}, {"local_id": "../x"}, {"signal": "x" * 100_000},
    ],
)  # fmt: skip
def test_a_record_that_makes_no_sense_is_absent(
    space: DirectoryClaimSpace, fields: dict[str, object]
) -> None:
    assert record(space, **fields).exit is None


@pytest.mark.parametrize("value", ["", "yesterday", "2026-01-31T12:00:00", "9" * 30])
def test_a_field_that_makes_no_sense_is_unknown(space: DirectoryClaimSpace, value: str) -> None:
    found = record(space, finished=value).exit

    assert found is not None
    assert found.finished is None


@pytest.mark.parametrize("kind", ["fifo", "directory", "link"])
def test_what_is_no_file_is_no_record(space: DirectoryClaimSpace, kind: str) -> None:
    lock = space.control_dir / "lock"
    make = {
        "fifo": lambda: os.mkfifo(lock),
        "directory": lock.mkdir,
        "link": lambda: lock.symlink_to("start"),
    }
    make[kind]()
    (space.control_dir / "start").write_text("local_id=42\n")

    assert space.records([None])[None] == TaskRecords()


def test_the_fingerprint_changes_with_every_record(space: DirectoryClaimSpace) -> None:
    seen = [space.fingerprint()]
    for name in ("start.42", "lock", "exit", "exit", "start.3.42", "exit.3"):
        temporary = space.control_dir / f".{name}"
        temporary.write_text("local_id=42\n")
        temporary.rename(space.control_dir / name)
        seen.append(space.fingerprint())
    (space.control_dir / "exit").unlink()
    seen.append(space.fingerprint())
    assert len(set(seen)) == len(seen)

    space.log_path("stdout", None).write_text("more")
    space.note_miss(FirstMiss("boot-1", 3.0))
    assert space.fingerprint() == seen[-1]


def test_the_first_miss_is_kept_until_the_job_is_seen_again(space: DirectoryClaimSpace) -> None:
    assert space.first_miss() is None
    space.note_miss(FirstMiss("boot-1", 12.5))
    assert space.first_miss() == FirstMiss("boot-1", 12.5)
    space.note_miss(None)
    space.note_miss(None)
    assert space.first_miss() is None


def test_logs_are_beside_the_work_directory(space: DirectoryClaimSpace) -> None:
    assert space.log_path("stdout", None) == space.control_dir / "stdout"
    assert space.log_path("stderr", 12) == space.control_dir / "stderr.12"
    with pytest.raises(InvalidInput):
        space.log_path("../owner.json", None)


# Input -----------------------------------------------------------------------------------------


def archive_with(space: DirectoryClaimSpace, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> None:
    with zipfile.ZipFile(space.archive, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in entries:
            archive.writestr(entry, content)


def entry_of(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


def test_an_input_archive_is_extracted_and_removed(space: DirectoryClaimSpace) -> None:
    tool = entry_of("bin/tool", stat.S_IFREG | 0o4755)
    archive_with(space, ("data/a b.txt", b"text"), (tool, b"#!/bin/sh"), ("empty/", b""))

    space.extract_input(None)

    assert (space.work_dir / "data" / "a b.txt").read_bytes() == b"text"
    assert mode_of(space.work_dir / "bin" / "tool") == 0o755
    assert (space.work_dir / "empty").is_dir()
    assert not space.archive.exists()


def test_extraction_begins_again_after_a_crash(space: DirectoryClaimSpace) -> None:
    (space.work_dir / "a").write_text("half")
    archive_with(space, ("a", b"whole"))

    space.extract_input(None)

    assert (space.work_dir / "a").read_text() == "whole"


@pytest.mark.parametrize(
    "entry",
    [
        "/etc/evil", "../evil", "a/../../evil", "a/./b", "a//b", "..", "x" * 300,
        entry_of("link", stat.S_IFLNK | 0o777), entry_of("pipe", stat.S_IFIFO | 0o666),
        entry_of("device", stat.S_IFCHR | 0o666),
    ],
    ids=str,
)  # fmt: skip
def test_an_archive_that_would_leave_the_directory_is_rejected(
    space: DirectoryClaimSpace, entry: str | zipfile.ZipInfo
) -> None:
    archive_with(space, ("good", b""), (entry, b"/etc"))

    with pytest.raises(ArchiveRejected):
        space.extract_input(None)

    assert list(space.work_dir.iterdir()) == []


@pytest.mark.parametrize("name", ["link/evil", "link"])
def test_links_that_are_there_are_not_followed(space: DirectoryClaimSpace, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (space.work_dir / "link").symlink_to(outside)
    archive_with(space, (name, b"evil"))

    if name == "link":
        space.extract_input(None)
    else:
        with pytest.raises(ArchiveRejected):
            space.extract_input(None)

    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x05\x06" + b"\xff" * 18])
def test_an_archive_that_is_none_is_rejected(space: DirectoryClaimSpace, content: bytes) -> None:
    space.archive.write_bytes(content)

    with pytest.raises(ArchiveRejected):
        space.extract_input(None)


def small_space(workspace: DirectoryWorkspace) -> DirectoryClaimSpace:
    space = DirectoryWorkspace(workspace.root, workspace.clock, workspace.ids, SMALL).space(TAG)
    space.create(OWNER)
    return space


@pytest.mark.parametrize(
    "contents",
    [[b"x"] * 6, [os.urandom(3000), os.urandom(3000)], [b"\0" * 3900]],
    ids=["too many", "too much", "too well packed"],
)
def test_an_archive_that_unpacks_to_too_much_is_rejected(
    workspace: DirectoryWorkspace, contents: list[bytes]
) -> None:
    space = small_space(workspace)
    archive_with(space, *((f"f{n}", content) for n, content in enumerate(contents)))

    with pytest.raises(ArchiveRejected):
        space.extract_input(None)

    assert list(space.work_dir.iterdir()) == []


def test_what_its_maker_promised_is_extracted_whatever_the_ratio(workspace: DirectoryWorkspace) -> None:
    space = small_space(workspace)
    archive_with(space, ("zeros", b"\0" * 1_000_000))

    space.extract_input(Contents(files=1, total_bytes=1_000_000))

    assert (space.work_dir / "zeros").stat().st_size == 1_000_000


@pytest.mark.parametrize("promised", [Contents(2, 9), Contents(1, 10)], ids=["more bytes", "more files"])
def test_an_archive_that_holds_more_than_was_promised_is_rejected(
    space: DirectoryClaimSpace, promised: Contents
) -> None:
    archive_with(space, ("a", b"12345"), ("b", b"12345"))

    with pytest.raises(ArchiveRejected, match="the job's record states"):
        space.extract_input(promised)
    assert list(space.work_dir.iterdir()) == []


def test_an_input_with_a_name_that_is_no_text_gets_it_back(
    space: DirectoryClaimSpace, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    for name in (b"r\xe9", b"r%E9", b"a:b\n"):
        (tmp_path / "data" / os.fsdecode(name)).write_bytes(name)
    packed = ZipArchives().pack([tmp_path / "data"], space.archive)

    space.extract_input(packed.contents)

    inside = {os.fsencode(path.name): path.read_bytes() for path in (space.work_dir / "data").iterdir()}
    assert inside == {name: name for name in (b"r\xe9", b"r%E9", b"a:b\n")}


def test_a_huge_table_of_contents_is_not_even_read(workspace: DirectoryWorkspace) -> None:
    space = small_space(workspace)
    archive_with(space, *(("x" * 200 + str(n), b"") for n in range(20)))

    with pytest.raises(ArchiveRejected, match="table of contents"):
        space.extract_input(None)


def test_an_archive_that_lies_about_its_sizes_is_rejected(space: DirectoryClaimSpace) -> None:
    archive_with(space, ("f", b"y" * 5000))
    content = space.archive.read_bytes()
    space.archive.write_bytes(content.replace(struct.pack("<L", 5000), struct.pack("<L", 50)))

    with pytest.raises(ArchiveRejected):
        space.extract_input(None)


# Output ----------------------------------------------------------------------------------------


@define
class Bucket:
    """A bucket that accepts archives as a store does."""

    archives: list[bytes] = field(factory=list)
    expected: int = 0

    def put(self, number: int, pieces: Iterator[bytes], expected_bytes: int) -> int:
        self.archives.append(b"".join(pieces))
        self.expected = expected_bytes
        assert number == len(self.archives)
        return len(self.archives[-1])

    def contents(self) -> dict[str, bytes]:
        found = {}
        for content in self.archives:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                assert archive.testzip() is None
                found |= {name: archive.read(name) for name in archive.namelist()}
        return found


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def test_only_new_and_changed_files_are_output(space: DirectoryClaimSpace, bucket: Bucket) -> None:
    for name in ("kept", "changed", "replaced"):
        (space.work_dir / name).write_text("before")
    (space.work_dir / "empty input").mkdir()
    space.note_baseline()
    (space.work_dir / "changed").write_text("after!")
    (space.work_dir / "new").write_text("before")
    os.utime(space.work_dir / "new", ns=(0, 0))
    (space.work_dir / "new").replace(space.work_dir / "replaced")
    (space.work_dir / "sub").mkdir()
    (space.work_dir / "sub" / "ünï").write_text("deep")
    space.note_baseline()

    output = space.pack_output(bucket.put)

    assert bucket.contents() == {"changed": b"after!", "replaced": b"before", "sub/ünï": b"deep"}
    assert (output.size, output.archives) == (len(bucket.archives[0]), 1)
    assert output.contents == Contents(files=3, total_bytes=16)
    assert (output.left_out, output.left_out_count) == ((), 0)
    assert bucket.expected == 16


def test_only_wanted_outputs_are_packed(space: DirectoryClaimSpace, bucket: Bucket) -> None:
    (space.work_dir / "input.csv").write_text("before")
    space.note_baseline()
    for name in ("a.csv", "b.txt", "results/deep/c", "results/d", "other/e.csv"):
        path = space.work_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    os.mkfifo(space.work_dir / "pipe")

    output = space.pack_output(bucket.put, ("*.csv", "results"))

    assert sorted(bucket.contents()) == ["a.csv", "results/d", "results/deep/c"]
    assert (output.contents.files, output.left_out) == (3, ())


def test_nothing_new_makes_no_archive(space: DirectoryClaimSpace, bucket: Bucket) -> None:
    space.install_script("run.sh", b"")
    space.note_baseline()

    assert space.pack_output(bucket.put) == NO_OUTPUT
    assert bucket.archives == []


def test_packing_writes_nothing_to_the_disk(space: DirectoryClaimSpace, tmp_path: Path) -> None:
    (space.work_dir / "large").write_bytes(os.urandom(5 << 20))
    before = set(tmp_path.rglob("*"))
    seen: list[set[Path]] = []

    def put(_number: int, pieces: Iterator[bytes], _expected: int) -> int:
        sizes = []
        for piece in pieces:
            sizes.append(len(piece))
            seen.append(set(tmp_path.rglob("*")))
        assert max(sizes) < 3 << 20
        return sum(sizes)

    assert space.pack_output(put).size > 5 << 20
    assert all(paths == before for paths in seen)


def test_what_no_reader_would_hold_goes_into_several_archives(
    space: DirectoryClaimSpace, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "FILES_AN_ARCHIVE", 3)
    for number in range(8):
        (space.work_dir / f"file{number}").write_text(str(number))

    output = space.pack_output(bucket.put)

    assert (output.archives, len(bucket.archives)) == (3, 3)
    assert bucket.contents() == {f"file{number}": str(number).encode() for number in range(8)}
    assert output.contents == Contents(8, 8)
    assert output.size == sum(map(len, bucket.archives))


def test_a_put_that_breaks_is_begun_again_from_the_first_byte(
    space: DirectoryClaimSpace, bucket: Bucket
) -> None:
    (space.work_dir / "result").write_text("42")

    def broken(_number: int, pieces: Iterator[bytes], _expected: int) -> int:
        next(pieces)
        raise StoreUnavailable("broken")

    with pytest.raises(StoreUnavailable):
        space.pack_output(broken)

    space.pack_output(bucket.put)
    assert bucket.contents() == {"result": b"42"}


def test_links_that_stay_inside_and_empty_directories_are_kept(
    space: DirectoryClaimSpace, bucket: Bucket
) -> None:
    space.note_baseline()
    work = space.work_dir
    (work / "ckpt_100" / "deep").mkdir(parents=True)
    (work / "ckpt_100" / "model.pt").write_text("w")
    (work / "latest").symlink_to("ckpt_100")
    (work / "best.pt").symlink_to(work / "ckpt_100" / "model.pt")
    (work / "loop").symlink_to(".")
    (work / "dangling").symlink_to("missing")
    (work / "ckpt_100" / "up").symlink_to("../ckpt_100/../ckpt_100/model.pt")

    output = space.pack_output(bucket.put)

    assert bucket.contents() == {
        "best.pt": b"ckpt_100/model.pt", "ckpt_100/deep/": b"", "ckpt_100/model.pt": b"w",
        "ckpt_100/up": b"model.pt", "dangling": b"missing", "latest": b"ckpt_100", "loop": b".",
    }  # fmt: skip
    assert output.left_out == ()


def test_what_cannot_go_along_is_named_and_not_followed(
    space: DirectoryClaimSpace, bucket: Bucket, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    space.note_baseline()
    (space.work_dir / "link").symlink_to(tmp_path / "secret" / "key")
    (space.work_dir / "dir link").symlink_to("../../../secret")
    os.mkfifo(space.work_dir / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(space.work_dir / "socket"))
    (space.work_dir / "result").write_text("42")

    output = space.pack_output(bucket.put)

    leads_out = "a link that leads out of the work directory, to"
    assert bucket.contents() == {"result": b"42"}
    assert output.left_out == (
        f"dir link ({leads_out} ../../../secret)", f"link ({leads_out} {tmp_path}/secret/key)",
        "pipe (a fifo)", "socket (a socket)",
    )  # fmt: skip
    assert output.left_out_count == 4


def test_a_file_that_cannot_be_read_is_named(
    space: DirectoryClaimSpace, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    space.note_baseline()
    for name in ("good", "locked", "gone"):
        (space.work_dir / name).write_text(name)
    real = os.open
    errors = {"locked": PermissionError(errno.EACCES, "Permission denied"), "gone": FileNotFoundError()}

    def guarded(path: str | Path, flags: int, *rest: int, **options: int) -> int:
        if str(path) in errors:
            raise errors[str(path)]
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", guarded)

    assert space.pack_output(bucket.put).left_out == ("locked (Permission denied)",)
    assert bucket.contents() == {"good": b"good"}


def test_names_that_are_no_text_stay_apart(space: DirectoryClaimSpace, bucket: Bucket) -> None:
    space.note_baseline()
    for name in (b"r\xe9sultat", b"r\xe8sultat", b"r%E9sultat"):
        Path(os.fsdecode(os.fsencode(space.work_dir) + b"/" + name)).write_bytes(name)

    space.pack_output(bucket.put)

    assert bucket.contents() == {
        "r%25E9sultat": b"r%E9sultat", "r%E8sultat": b"r\xe8sultat", "r%E9sultat": b"r\xe9sultat",
    }  # fmt: skip


def test_many_files_left_out_are_counted(space: DirectoryClaimSpace, bucket: Bucket) -> None:
    for number in range(103):
        (space.work_dir / f"link{number:04}").symlink_to("/nowhere")

    output = space.pack_output(bucket.put)

    assert (len(output.left_out), output.left_out_count) == (101, 103)
    assert output.left_out[-1] == "… and 3 more"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_as_such_and_leaves_nothing_half_done(
    space: DirectoryClaimSpace, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (space.work_dir / "new").write_text("x")
    archive_with(space, ("f", b""))
    space.archive.rename(space.control_dir / "kept.zip")

    def full(*_args: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    for act in (
        lambda: space.install_script("run.sh", b""),
        lambda: space.install_job_shell(PLAN, LOCAL_DIALECT),
        lambda: space.begin_attempt(1, "", 1),
        lambda: space.block(None),
        lambda: space.note_miss(FirstMiss("boot", 1)),
        space.note_baseline,
        space.note_staged_out,
    ):
        with pytest.raises(WorkspaceFull):
            act()

    names = {path.name for path in space.control_dir.iterdir()}
    assert names == {"owner.json", "work_dir", "kept.zip"}
    assert [path.name for path in space.work_dir.iterdir()] == ["new"]


def test_too_little_room_for_the_input_is_told_before_it_is_written(
    space: DirectoryClaimSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive_with(space, ("f", b"12345"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: _Usage(free=5))

    with pytest.raises(
        WorkspaceFull, match=r"5 bytes are needed in .* where 5 are free \(2 of them are kept"
    ):
        space.extract_input(None)
    with pytest.raises(WorkspaceFull):
        space.require_room(4)
    space.require_room(3)


class _Usage:
    def __init__(self, free: int) -> None:
        self.free, self.total = free, 10 * free


# Removal ---------------------------------------------------------------------------------------


@pytest.fixture
def locked(space: DirectoryClaimSpace) -> Path:
    inner = space.work_dir / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    (inner / "file").chmod(0)
    inner.chmod(0)
    inner.parent.chmod(0o500)
    return inner


def test_removal_survives_odd_modes_and_follows_no_link(
    space: DirectoryClaimSpace, locked: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("x")
    (space.work_dir / "link").symlink_to(tmp_path / "outside")
    (space.control_dir / "link").symlink_to(tmp_path / "outside")

    space.remove()
    space.remove()

    assert not space.work_dir.exists()
    assert not space.control_dir.exists()
    assert (tmp_path / "outside" / "kept").exists()
    assert space.owner() is None


def test_a_directory_put_in_the_place_of_ours_is_left_alone(space: DirectoryClaimSpace) -> None:
    space.work_dir.rename(space.work_dir.with_name("mine"))
    space.work_dir.mkdir()

    space.remove()

    assert space.work_dir.exists()
    assert space.owner() is None


def test_spaces_go_when_their_time_is_over(
    workspace: DirectoryWorkspace, space: DirectoryClaimSpace, clock: FakeClock
) -> None:
    other = workspace.space(ClaimTag("00000001", 1))
    other.create(SpaceOwner("alpha", other.tag, "n"))
    space.note_staged_out()

    clock.pass_by(59)
    space.note_staged_out()
    assert workspace.remove_expired(60) == ()
    clock.pass_by(1)
    assert workspace.remove_expired(60) == (TAG,)
    assert workspace.remove_expired(60) == ()
    assert other.owner() is not None


def test_a_removal_that_was_cut_short_is_finished(
    workspace: DirectoryWorkspace, space: DirectoryClaimSpace
) -> None:
    half = space.control_dir.rename(space.control_dir.with_name(".gone.3f7e7681.1"))

    workspace.remove_expired(60)

    assert not half.exists()
