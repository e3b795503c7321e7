"""The place of a home, noted so that a copy is not taken for the original (protocol 6.7)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cloudq.adapters.filesystem import (
    as_workspace_problem,
    create_file,
    read_fields,
    write_fields,
)
from cloudq.adapters.mounts import MOUNT_TABLE, mount_of

NOTE = "place"
MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_UNSTABLE_INODES = ("fuse", "9p", "vboxsf", "drvfs")
"""File systems that may give a directory another inode number at each mount."""


def place_of(home: Path, mounts: Path = MOUNT_TABLE) -> dict[str, str]:
    """Return what distinguishes *home* from its copies, without the values that may change by themselves.

    These are the inode of its directory and, if the file system belongs to this machine alone, the
    machine's id: several login nodes may share a home. A device number is never used, because it changes
    from boot to boot.
    """
    mount = mount_of(home, mounts)
    if mount is None:
        return {}
    keeps_inodes = not mount.kind.startswith(_UNSTABLE_INODES)
    counts = {"inode": keeps_inodes, "machine": mount.is_local}
    return {name: value for name, value in _marks(home).items() if counts[name]}


def why_not_the_same_home(home: Path) -> str:
    """Return why *home* is taken for a copy, and what to do; empty if it is where it was.

    A value that is known for only one of the two places proves nothing. The mount table, which may be
    long, is read only if something differs.
    """
    if (noted := read_fields(home / NOTE)) is None:
        return ""
    with as_workspace_problem(f"access {home}"):
        here = _marks(home)
        if all(noted.get(name, value) == value for name, value in here.items()):
            return ""
        here = place_of(home)
    moved = [name for name in here if name in noted and noted[name] != here[name]]
    if not moved:
        return ""
    changes = " and ".join(f"the {name} was {noted[name]}, is now {here[name]}" for name in moved)
    return (
        f"the home {home} was copied, restored or moved ({changes}): another agent may use the original. "
        "Unfinished jobs are followed; no job is started. If this home is the only one, confirm it. If it is "
        "a copy, give it a new identity"
    )


def note_place(home: Path) -> None:
    """Note the place of *home*, unless it was noted before."""
    with as_workspace_problem(f"write {home / NOTE}"):
        if not os.path.lexists(home / NOTE):
            create_file(home / NOTE, write_fields(place_of(home)))


def forget_place(home: Path) -> None:
    """Delete the note, so that the next agent of *home* makes it again."""
    with as_workspace_problem(f"write {home / NOTE}"):
        (home / NOTE).unlink(missing_ok=True)


def _marks(home: Path) -> dict[str, str]:
    """Return what may distinguish *home* from its copies, whatever its file system is."""
    machine = _machine_id()
    return {"inode": str(home.stat().st_ino)} | ({"machine": machine} if machine else {})


def _machine_id() -> str:
    for path in MACHINE_IDS:
        with suppress(OSError):
            if machine := path.read_text(encoding="ascii", errors="replace").strip():
                return machine
    return ""
