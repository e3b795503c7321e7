"""One process at a time holds the lock file of a home."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from cloudq.adapters.filesystem import locked
from cloudq.domain.errors import WorkspaceProblem


def test_a_lock_is_had_by_one_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path / "lock") as first, locked(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    with locked(tmp_path / "lock") as again:
        assert again


def test_a_lock_ends_with_its_process_and_not_with_the_programs_that_it_started(tmp_path: Path) -> None:
    """Jobs of the embedded scheduler outlive their agent."""
    holder = (
        "import os, subprocess, sys\n"
        "from pathlib import Path\n"
        "from cloudq.adapters.filesystem import locked\n"
        "with locked(Path(sys.argv[1])) as ours:\n"
        "    job = subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL)\n"
        "    print(ours, job.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    died = subprocess.run(
        [sys.executable, "-c", holder, str(tmp_path / "lock")],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    ours, pid = died.stdout.split()
    try:
        with locked(tmp_path / "lock") as free:
            assert (ours, free) == ("True", True)
    finally:
        subprocess.run(["kill", pid], check=True)


def test_a_place_that_cannot_be_written_is_the_workspace_s_trouble(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()

    with pytest.raises(WorkspaceProblem, match="cannot lock"), locked(tmp_path / "lock"):
        pass


def test_a_file_system_without_locks_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "acquire", fails)

    with (
        pytest.raises(WorkspaceProblem, match="its file system does not support locks"),
        locked(tmp_path / "lock"),
    ):
        pass
