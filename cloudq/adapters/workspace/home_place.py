"""Where a home lies, so that a copy of it is not taken for the original (protocol 6.7)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cloudq.adapters.filesystem import (
    create_file,
    read_fields,
    told_as_workspace_problem,
    write_fields,
)
from cloudq.adapters.mounts import MOUNT_TABLE, mount_of

NOTE = "place"
MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_NUMBERS_FILES_ANEW = ("fuse", "9p", "vboxsf", "drvfs")
"""File systems that may give a directory another inode number at each mount."""


def place_of(home: Path, mounts: Path = MOUNT_TABLE) -> dict[str, str]:
    """What tells *home* from its copies; less where that may change by itself.

    The inode of its directory, and the machine's id where the file system is the machine's own:
    several login nodes may share a home. Never a device number, which changes from boot to boot.
    """
    mount = mount_of(home, mounts)
    if mount is None:
        return {}
    keeps_inodes = not mount.kind.startswith(_NUMBERS_FILES_ANEW)
    counts = {"inode": keeps_inodes, "machine": mount.is_local}
    return {name: value for name, value in _marks(home).items() if counts[name]}


def why_not_the_same_home(home: Path) -> str:
    """How *home* is known to be a copy, in words with the way out; empty if it is where it was.

    What is known of only one of the two places proves nothing. The mount table, which may be long,
    is read only if something differs.
    """
    if (noted := read_fields(home / NOTE)) is None:
        return ""
    with told_as_workspace_problem(f"look at {home}"):
        here = _marks(home)
        if all(noted.get(name, value) == value for name, value in here.items()):
            return ""
        here = place_of(home)
    moved = [name for name in here if name in noted and noted[name] != here[name]]
    if not moved:
        return ""
    found = " and ".join(f"the {name} was {noted[name]}, is {here[name]}" for name in moved)
    return (
        f"the home {home} was copied, restored or moved ({found}): another agent may use the original. Jobs "
        "under way are followed; no job is started. If this is the only one, confirm it with: "
        "cloudqd --confirm. If it is a copy, give it an identity of its own with: cloudqd --new-home"
    )


def note_place(home: Path) -> None:
    """Note where *home* is, unless that was noted before."""
    with told_as_workspace_problem(f"write {home / NOTE}"):
        if not os.path.lexists(home / NOTE):
            create_file(home / NOTE, write_fields(place_of(home)))


def forget_place(home: Path) -> None:
    """Let the next agent of *home* note its place anew."""
    with told_as_workspace_problem(f"write {home / NOTE}"):
        (home / NOTE).unlink(missing_ok=True)


def _marks(home: Path) -> dict[str, str]:
    """What may distinguish *home* from its copies, whatever its file system is."""
    machine = _machine_id()
    return {"inode": str(home.stat().st_ino)} | ({"machine": machine} if machine else {})


def _machine_id() -> str:
    for path in MACHINE_IDS:
        with suppress(OSError):
            if machine := path.read_text(encoding="ascii", errors="replace").strip():
                return machine
    return ""
