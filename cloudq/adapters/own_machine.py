"""This machine's files and commands, as an examination needs them."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from cloudq.adapters.filesystem import as_workspace_problem
from cloudq.ports.own_machine import Access, Room

_READ_BY_OTHERS = stat.S_IRGRP | stat.S_IROTH
_WRITE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@frozen
class ThisMachine:
    """The port `OwnMachine`."""

    environ: Mapping[str, str]
    """The environment whose PATH is searched for commands."""

    def access(self, path: Path) -> Access | None:
        if os.name != "posix":
            return None
        with as_workspace_problem(f"access {path}"):
            try:
                info = path.stat()
            except FileNotFoundError:
                return None
        mode = stat.S_IMODE(info.st_mode)
        return Access(bool(mode & _READ_BY_OTHERS), bool(mode & _WRITE_BY_OTHERS), info.st_uid == os.getuid())

    def why_not_writable(self, directory: Path) -> str:
        try:
            with tempfile.TemporaryFile(dir=_nearest(directory)) as file:
                file.write(b"written")
                file.flush()
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def room(self, directory: Path) -> Room:
        nearest = _nearest(directory)
        with as_workspace_problem(f"access {nearest}"):
            free_bytes = shutil.disk_usage(nearest).free
            if not hasattr(os, "statvfs"):
                return Room(free_bytes, None)
            file_system = os.statvfs(nearest)
        return Room(free_bytes, file_system.f_favail if file_system.f_files else None)

    def missing(self, commands: Sequence[str]) -> tuple[str, ...]:
        path = self.environ.get("PATH", os.defpath)
        return tuple(command for command in commands if shutil.which(command, path=path) is None)


def _nearest(directory: Path) -> Path:
    """Return *directory*, or its nearest parent that exists."""
    return next(path for path in (directory, *directory.parents) if path.exists())
