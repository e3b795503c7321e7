"""The control directory of a claim whose files were removed while its job ran (protocol 5.7)."""

from __future__ import annotations

import os
import stat
from datetime import datetime
from pathlib import Path

from cloudq.adapters.filesystem import read_fields, replace_file, write_fields
from cloudq.ports.workspace import LostFiles

_NOTE = "removed"


def note_lost(control_dir: Path, at: datetime, *, has_work_dir: bool) -> None:
    """Note durably that the directory was made again."""
    fields = {"time": at.isoformat(), "work_dir": "kept" if has_work_dir else "gone"}
    replace_file(control_dir / _NOTE, write_fields(fields))


def read_lost(control_dir: Path) -> LostFiles | None:
    """Return the note; None for a directory that was not made again."""
    if not os.path.lexists(control_dir / _NOTE):
        return None
    fields = read_fields(control_dir / _NOTE) or {}
    return LostFiles(has_work_dir=fields.get("work_dir") == "kept")


def is_own_directory(path: Path) -> bool:
    """Return whether *path* is a real directory of this user, which may be taken for the original."""
    try:
        info = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid()
