"""Test DirectoryStore: several processes that share it, and failures of the file system."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from cloudq.adapters.object_stores.directory import files as directory_files
from cloudq.adapters.object_stores.directory import store as directory
from cloudq.adapters.object_stores.directory.store import DirectoryStore
from cloudq.adapters.object_stores.key_rules import MAX_KEY_BYTES
from cloudq.domain.errors import OutcomeUnknown, PreconditionFailed, StoreRefused, StoreUnavailable
from cloudq.ports.object_store import ObjectStore
from cloudq.testing.memory_store import MemoryStore
from tests.builders import NOON

WRITER = Path(__file__).parents[1] / "parts" / "directory_writer.py"
REPOSITORY = Path(__file__).parents[2]

BAD_KEYS = (
    "",
    "/",
    "/etc/passwd",
    "..",
    "../outside",
    "jobs/../../outside",
    "jobs/./a",
    "jobs//a",
    "jobs/a/",
    ".cloudq/clock",
    ".cloudq-of-our-own",
    "jobs/.nfs0000",
    "jobs/a\0b",
    "jobs/a\nb",
    "jobs/\udc80",
    "jobs/" + "a" * 256,
    "a/" * (MAX_KEY_BYTES // 2) + "a",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> DirectoryStore:
    return DirectoryStore(root)


def run_writers(*arguments: list[str]) -> list[str]:
    """Run one process per list of arguments, all at once; return their output."""
    writers = [
        subprocess.Popen(
            [sys.executable, str(WRITER), *argument],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for argument in arguments
    ]
    outputs = [writer.communicate(timeout=120)[0] for writer in writers]

    assert [writer.returncode for writer in writers] == [0] * len(writers)
    return outputs


def objects_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if ".cloudq" not in path.parts)


# Processes -----------------------------------------------------------------------------------


def test_of_many_racing_processes_one_creates(root: Path) -> None:
    keys = [f"jobs/{race}/claims/1.json" for race in range(100)]

    won = run_writers(*(["create", str(root), f"racer {number}", *keys] for number in range(4)))

    assert Counter(key for output in won for key in output.split()) == dict.fromkeys(keys, 1)
    assert {DirectoryStore(root).get(key).body for key in keys} <= {b"racer %d" % n for n in range(4)}


def test_no_update_of_several_processes_is_lost(root: Path) -> None:
    DirectoryStore(root).put("marks", b"")

    run_writers(*(["mark", str(root), name, "25"] for name in "abcd"))

    marks = DirectoryStore(root).get("marks").body.split()
    assert (len(marks), len(set(marks))) == (100, 100)


def test_a_lock_that_somebody_keeps_is_trouble_that_may_pass(
    store: DirectoryStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "LOCK_TIMEOUT_S", 0.05)
    etag = store.put("jobs/a/manifest.json", b"1")
    (lock,) = (root / ".cloudq" / "locks").iterdir()

    with FileLock(lock), pytest.raises(StoreUnavailable, match="holds the lock"):
        store.put_if_match("jobs/a/manifest.json", b"2", etag)
    store.put_if_match("jobs/a/manifest.json", b"2", etag)


# File systems --------------------------------------------------------------------------------


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a file system without hard links."""

    def link(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.usefixtures("no_links")
def test_creation_is_exclusive_without_hard_links(root: Path) -> None:
    won = []

    def create(nonce: bytes) -> None:
        for race in range(20):
            try:
                DirectoryStore(root).put_if_absent(f"jobs/{race}", nonce)
            except PreconditionFailed:
                continue
            won.append(race)

    racers = [threading.Thread(target=create, args=(b"%d" % number,)) for number in range(6)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()

    assert sorted(won) == list(range(20))


def test_a_link_whose_answer_was_lost_is_our_own(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_and_say_that_it_exists(source: Path, target: Path) -> None:
        link(source, target)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(os, "link", link_and_say_that_it_exists)

    store.put_if_absent("jobs/a/claims/1.json", b"ours")

    assert store.get("jobs/a/claims/1.json").body == b"ours"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.ENOSPC, StoreRefused),
        (errno.EDQUOT, StoreRefused),
        (errno.EROFS, StoreRefused),
        (errno.EACCES, StoreRefused),
        (errno.EIO, OutcomeUnknown),
        (errno.ESTALE, OutcomeUnknown),
    ],
)
def test_what_the_file_system_says_is_translated(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, code: int, expected: type[Exception]
) -> None:
    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(expected, match="directory store"):
        store.put_if_absent("jobs/a/claims/1.json", b"1")
    monkeypatch.undo()
    assert store.list_page("").objects == ()


def test_a_write_that_failed_leaves_nothing(
    store: DirectoryStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(StoreRefused, match="free some space"):
        store.put("jobs/a/manifest.json", b"1")
    assert list((root / ".cloudq" / "new").iterdir()) == []


def test_what_a_killed_writer_left_long_ago_is_removed(store: DirectoryStore, root: Path) -> None:
    store.put("a", b"")
    old, young = root / ".cloudq" / "new" / "old", root / ".cloudq" / "new" / "young"
    for leftover, age in ((old, timedelta(days=2)), (young, timedelta(hours=1))):
        leftover.touch()
        then = (store.get("a").date - age).timestamp()
        os.utime(leftover, (then, then))

    DirectoryStore(root).put("b", b"")

    assert (old.exists(), young.exists()) == (False, True)


def test_an_empty_directory_is_not_listed(store: DirectoryStore, root: Path) -> None:
    store.put("jobs/a/1", b"")
    (root / "jobs" / "ghost" / "claims").mkdir(parents=True)

    assert store.list_page("jobs/", delimiter="/").prefixes == ("jobs/a/",)


def test_deletions_leave_no_directory_behind(store: DirectoryStore, root: Path) -> None:
    store.put("jobs/a/log/stdout/1", b"")
    store.put("jobs/b", b"")

    store.delete(["jobs/a/log/stdout/1"])

    assert objects_of(root) == [root / "jobs", root / "jobs" / "b"]


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_everything_is_for_this_user_alone(store: DirectoryStore, root: Path) -> None:
    before = os.umask(0)
    try:
        store.put("jobs/a/1", b"")
        store.put_if_absent("jobs/a/2", b"")
        store.list_page("")
    finally:
        os.umask(before)

    paths = [root, *root.rglob("*")]
    assert {oct(path.stat().st_mode & 0o777) for path in paths if path.is_dir()} == {"0o700"}
    assert {oct(path.stat().st_mode & 0o777) for path in paths if path.is_file()} == {"0o600"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="links and pipes are POSIX's")
def test_links_and_pipes_are_no_objects(store: DirectoryStore, root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    store.put("jobs/a/1", b"")
    (root / "jobs" / "a" / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(root / "jobs" / "a" / "pipe")

    for key in ("jobs/a/link", "jobs/a/pipe"):
        with pytest.raises(Exception, match=f"no object {key}"):
            store.get(key)
    assert [listed.key for listed in store.list_page("").objects] == ["jobs/a/1"]


def test_a_key_in_the_way_of_another_is_said(store: DirectoryStore) -> None:
    store.put("jobs/a", b"")

    for write in (store.put, store.put_if_absent):
        with pytest.raises(StoreRefused, match="in the way"):
            write("jobs/a/b", b"")
        with pytest.raises(StoreRefused, match="in the way"):
            write("jobs", b"")


def test_an_etag_is_not_that_of_a_rewritten_object_of_the_same_size(store: DirectoryStore) -> None:
    etags = Counter(store.put("doorbell/alpha", b"%03d" % number) for number in range(300))

    assert max(etags.values()) == 1


def test_the_store_s_clock_is_the_file_system_s(store: DirectoryStore, root: Path) -> None:
    store.put("a", b"")
    date = store.get("a").date

    assert date == directory_files.time_of((root / ".cloudq" / "clock").stat())


# Keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_bad_key_is_refused_on_disk_and_in_memory(store: DirectoryStore, root: Path, key: str) -> None:
    (root.parent / "outside").write_bytes(b"secret")
    stores: list[ObjectStore] = [store, MemoryStore(lambda: NOON)]
    for each in stores:
        requests = (
            lambda each=each: each.get(key),
            lambda each=each: each.put(key, b""),
            lambda each=each: each.put_if_absent(key, b""),
            lambda each=each: each.put_if_match(key, b"", "e1"),
            lambda each=each: each.delete([key]),
            lambda each=each: list(each.read(key)),
        )
        for request in requests:
            with pytest.raises(StoreRefused, match="cannot be a key"):
                request()
    assert (root.parent / "outside").read_bytes() == b"secret"
    assert not root.exists() or objects_of(root) == []


def test_only_writers_load_the_locks() -> None:
    code = (
        "import sys, pathlib, tempfile;"
        "from cloudq.adapters.object_stores.directory.store import DirectoryStore;"
        "DirectoryStore(pathlib.Path(tempfile.mkdtemp())).list_page('');"
        "sys.exit(bool({'filelock', 'fcntl', 'boto3'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0
