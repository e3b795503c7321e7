"""A home that was copied, restored or moved is recognized (protocol 6.7)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cloudq.adapters.workspace import DirectoryLeaseMemory, home_place
from cloudq.adapters.workspace.home_place import place_of
from cloudq.domain.jobs.lease import LeaseNotes
from tests.builders import a_lease

LOCAL = "29 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
SHARED = "29 1 0:40 / / rw,vers=4.2 - nfs4 server:/home rw\n"
SSHFS = "29 1 0:40 / / rw - fuse.sshfs me@there: rw\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "machine-id"
    path.write_text("first\n")
    monkeypatch.setattr(home_place, "MACHINE_IDS", (path,))
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that was used before."""
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def memory(home: Path, machine: Path) -> DirectoryLeaseMemory:
    assert machine.exists()
    memory = DirectoryLeaseMemory(home, "alpha.store")
    memory.keep(LeaseNotes(3, ("one", "two")))
    return memory


def mounts(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(text)
    return path


def test_a_home_that_was_never_used_is_in_no_doubt(home: Path) -> None:
    assert DirectoryLeaseMemory(home, "alpha.store").doubt() == ""


def test_a_home_that_stayed_where_it_was_is_in_no_doubt(memory: DirectoryLeaseMemory) -> None:
    assert memory.doubt() == ""


def test_a_copied_home_is_in_doubt_until_it_is_confirmed(
    memory: DirectoryLeaseMemory, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(memory.root, copy)
    copied = DirectoryLeaseMemory(copy, "alpha.store")

    assert "was copied, restored or moved (the inode was" in copied.doubt()
    assert "If it is a copy, give it a new identity" in copied.doubt()
    assert memory.doubt() == ""

    home_place.forget_place(copy)
    copied.confirm(a_lease(nonce="stands"))
    assert copied.notes().nonces == ("stands",)
    assert copied.doubt() == ""


def test_a_home_on_a_disk_of_another_machine_is_in_doubt(home: Path, tmp_path: Path, machine: Path) -> None:
    local = mounts(tmp_path, LOCAL)
    before = place_of(home, local)
    machine.write_text("second\n")

    assert place_of(home, local) != before
    assert set(before) == {"inode", "machine"}


def test_a_home_that_login_nodes_share_is_bound_to_none_of_them(home: Path, tmp_path: Path) -> None:
    assert set(place_of(home, mounts(tmp_path, SHARED))) == {"inode"}


def test_file_systems_that_number_files_anew_bind_nothing(home: Path, tmp_path: Path) -> None:
    assert place_of(home, mounts(tmp_path, SSHFS)) == {}


def test_where_the_system_does_not_tell_of_mounts_nothing_is_bound(home: Path, tmp_path: Path) -> None:
    assert place_of(home, tmp_path / "none") == {}


def test_notes_are_kept_from_process_to_process(memory: DirectoryLeaseMemory) -> None:
    again = DirectoryLeaseMemory(memory.root, "alpha.store")

    assert again.notes() == LeaseNotes(3, ("one", "two"))
    assert DirectoryLeaseMemory(memory.root, "beta.store").notes() == LeaseNotes()


def test_a_doubt_stays_until_a_person_confirms(memory: DirectoryLeaseMemory) -> None:
    memory.raise_doubt("the bucket is old")
    assert memory.doubt() == "the bucket is old"

    memory.confirm()

    assert memory.doubt() == ""
    assert memory.notes() == LeaseNotes()


@pytest.mark.parametrize("content", ["", "epoch=-3\n", "epoch=x\n", "\0\xff"])
def test_damaged_notes_remember_nothing(memory: DirectoryLeaseMemory, content: str) -> None:
    (memory.root / "lease/alpha.store/notes").write_text(content)

    assert memory.notes() == LeaseNotes()


def test_what_a_person_settled_is_remembered(memory: DirectoryLeaseMemory) -> None:
    memory.keep(LeaseNotes(3, ("one", "two"), "one", "doubt-1"))
    memory.confirm(a_lease(nonce="stands", bucket_doubt="doubt-2"))

    assert memory.notes() == LeaseNotes(0, ("stands",), settled=("doubt-1", "doubt-2"))


def test_notes_are_read_as_they_were_kept(memory: DirectoryLeaseMemory) -> None:
    notes = LeaseNotes(7, ("one", "two"), "two", "doubt", ("older", "old"), ("lost",))
    memory.keep(notes)

    assert memory.notes() == notes
