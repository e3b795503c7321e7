"""The file system of a path, and how far its locks reach."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudq.adapters.mounts import LockReach, Mount, find_mount, mount_of, parse_mounts

TABLE = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 0:40 / /home rw,relatime shared:1 - nfs4 server:/home rw,vers=4.2,local_lock=none,addr=10.0.0.1
41 40 0:41 / /home/my\040data rw - nfs server:/d rw,vers=3,nolock,local_lock=all
42 27 0:42 / /scratch rw - lustre mgs@tcp:/fs rw,checksum,flock,lazystatfs
43 27 0:43 / /scratch rw - lustre mgs@tcp:/fs rw,localflock
"""


def kind_at(path: str) -> str:
    found = find_mount(PurePosixPath(path), parse_mounts(TABLE))
    return found.kind if found else ""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "ext4"), ("/homes", "ext4"), ("/home", "nfs4"), ("/home/me/.cloudq", "nfs4"),
     ("/home/my data/x", "nfs"), ("/home/my", "nfs4"), ("/scratch/a", "lustre"), ("/proc/self", "proc")],
)  # fmt: skip
def test_the_deepest_mount_above_a_path_holds_it(path: str, kind: str) -> None:
    assert kind_at(path) == kind


def test_of_two_mounts_at_one_point_the_later_one_counts() -> None:
    found = find_mount(PurePosixPath("/scratch"), parse_mounts(TABLE))

    assert found is not None
    assert "localflock" in found.options


@pytest.mark.parametrize(
    ("kind", "options", "reach"),
    [
        ("ext4", "rw", LockReach.EVERYWHERE),
        ("tmpfs", "rw", LockReach.EVERYWHERE),
        ("overlay", "rw", LockReach.EVERYWHERE),
        ("nfs4", "rw,local_lock=none", LockReach.EVERYWHERE),
        ("nfs4", "rw,local_lock=posix", LockReach.EVERYWHERE),
        ("nfs4", "rw,local_lock=flock", LockReach.THIS_HOST),
        ("nfs", "rw,local_lock=all", LockReach.THIS_HOST),
        ("nfs", "rw,nolock", LockReach.THIS_HOST),
        ("lustre", "rw,flock", LockReach.EVERYWHERE),
        ("lustre", "rw,localflock", LockReach.THIS_HOST),
        ("lustre", "rw", LockReach.THIS_HOST),
        ("cifs", "rw,nobrl", LockReach.THIS_HOST),
        ("ceph", "rw", LockReach.EVERYWHERE),
        ("beegfs", "rw", LockReach.THIS_HOST),
        ("fuse.sshfs", "rw", LockReach.THIS_HOST),
        ("fuse.something", "rw", LockReach.UNKNOWN),
        ("gpfs", "rw", LockReach.UNKNOWN),
    ],
)
def test_locks_reach_as_far_as_type_and_options_say(kind: str, options: str, reach: LockReach) -> None:
    assert Mount("/data", kind, frozenset(options.split(","))).lock_reach is reach


def test_a_mount_is_named_with_what_concerns_its_locks() -> None:
    mount = Mount("/data", "nfs4", frozenset({"rw", "vers=4.2", "local_lock=all", "addr=10.0.0.1"}))

    assert mount.in_words == "/data (nfs4, local_lock=all, vers=4.2)"


def test_a_system_without_a_mount_table_tells_nothing(tmp_path: Path) -> None:
    assert mount_of(tmp_path, tmp_path / "absent") is None


def test_a_link_is_followed_to_where_the_files_are(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"1 1 0:1 / / rw - ext4 a rw\n2 1 0:2 / {tmp_path.resolve()}/far rw - nfs4 b rw\n")
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to("far")

    found = mount_of(tmp_path / "near" / "store", table)

    assert found is not None
    assert found.kind == "nfs4"


@given(st.text(max_size=200))
def test_a_table_of_any_text_is_read_without_an_error(text: str) -> None:
    parse_mounts(text)
