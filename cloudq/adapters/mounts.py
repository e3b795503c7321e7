"""The file system of a path, and the reach of its file locks (Linux: ``/proc/self/mountinfo``).

Sources of the rules: mount(8), nfs(5) (``local_lock``, ``nolock``), Lustre's operations manual
(``flock``, ``localflock``), mount.cifs(8) (``nobrl``), BeeGFS's ``tuneUseGlobalFileLocks``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path, PurePosixPath

from attrs import frozen

MOUNT_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


class LockReach(Enum):
    """The reach of an advisory lock (``flock``) on a file system."""

    EVERYWHERE = auto()
    """All machines that share the file system respect it."""
    THIS_HOST = auto()
    """Processes of other machines do not see it."""
    UNKNOWN = auto()


@frozen
class Mount:
    """A mounted file system."""

    point: str
    kind: str
    """The type as the kernel names it, for example ``nfs4`` or ``fuse.sshfs``."""
    options: frozenset[str]
    """Options of the mount and of the file system together."""

    @property
    def is_local(self) -> bool:
        """Return whether the file system belongs to this machine alone."""
        return self.kind in _LOCAL

    @property
    def lock_reach(self) -> LockReach:
        """The reach of file locks on this file system."""
        if self.is_local:
            return LockReach.EVERYWHERE
        judge = _SHARED.get(self.kind)
        return judge(self.options) if judge else LockReach.UNKNOWN

    @property
    def in_words(self) -> str:
        """The mount as text for a message: its point, its type, and the options that concern locks."""
        about_locks = sorted(option for option in self.options if _ABOUT_LOCKS.match(option))
        return f"{self.point} ({', '.join((self.kind, *about_locks))})"


def mount_of(path: Path, table: Path = MOUNT_TABLE) -> Mount | None:
    """Return the file system of *path*, or None if the system does not report it (macOS, Windows)."""
    try:
        text = os.fsdecode(table.read_bytes())
    except OSError:
        return None
    return find_mount(PurePosixPath(os.path.realpath(path)), parse_mounts(text))


def parse_mounts(text: str) -> tuple[Mount, ...]:
    """Return the mounts in a ``mountinfo`` text, in its order; skip lines of another format."""
    return tuple(mount for line in text.splitlines() if (mount := _parse_line(line)) is not None)


def find_mount(path: PurePosixPath, mounts: tuple[Mount, ...]) -> Mount | None:
    """Return the mount that holds the absolute *path*: the deepest one; of several at one point, the last."""
    above = {str(path), *(str(parent) for parent in path.parents)}
    holding = [mount for mount in mounts if mount.point in above]
    deepest = max((len(mount.point) for mount in holding), default=0)
    return next((mount for mount in reversed(holding) if len(mount.point) == deepest), None)


def _parse_line(line: str) -> Mount | None:
    # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    head, separator, tail = line.partition(" - ")
    fields, of_file_system = head.split(" "), tail.split(" ")
    if not separator or len(fields) < 6 or len(of_file_system) < 3:
        return None
    options = frozenset((*fields[5].split(","), *of_file_system[2].split(",")))
    return Mount(_unescaped(fields[4]), of_file_system[0], options)


def _unescaped(text: str) -> str:
    """Decode the octal escapes with which the table writes blanks and backslashes."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)


def _nfs(options: frozenset[str]) -> LockReach:
    host_only = {"nolock", "local_lock=flock", "local_lock=all"}
    return LockReach.THIS_HOST if options & host_only else LockReach.EVERYWHERE


def _lustre(options: frozenset[str]) -> LockReach:
    return LockReach.EVERYWHERE if "flock" in options else LockReach.THIS_HOST


def _cifs(options: frozenset[str]) -> LockReach:
    return LockReach.THIS_HOST if "nobrl" in options else LockReach.EVERYWHERE


def _everywhere(_: frozenset[str]) -> LockReach:
    return LockReach.EVERYWHERE


def _this_host(_: frozenset[str]) -> LockReach:
    return LockReach.THIS_HOST


_LOCAL = frozenset(
    {
        "apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk", "jfs", "ntfs",
        "ntfs3", "overlay", "ramfs", "reiserfs", "rootfs", "squashfs", "tmpfs", "vfat", "xfs", "zfs",
    }
)  # fmt: skip

_SHARED: dict[str, Callable[[frozenset[str]], LockReach]] = {
    "nfs": _nfs,
    "nfs4": _nfs,
    "lustre": _lustre,
    "cifs": _cifs,
    "smb3": _cifs,
    "ceph": _everywhere,
    "gfs2": _everywhere,
    "ocfs2": _everywhere,
    "fuse.ceph-fuse": _everywhere,
    "fuse.glusterfs": _everywhere,
    "beegfs": _this_host,  # unless tuneUseGlobalFileLocks is set, which a client cannot see
    "fhgfs": _this_host,
    "fuse.sshfs": _this_host,
    "fuse.s3fs": _this_host,
    "fuse.goofys": _this_host,
    "fuse.mount-s3": _this_host,
    "fuse.rclone": _this_host,
    "fuse.gcsfuse": _this_host,
}

_ABOUT_LOCKS = re.compile(r"(?:local_lock=|no?lock$|lock$|(?:local|no)?flock$|nobrl$|vers=)")
