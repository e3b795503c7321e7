"""A PBS that is none: its commands on a PATH of their own, told to fail when a test wants it."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMMANDS = ("qsub", "qstat", "qdel")
SCRIPT = Path(__file__).with_name("commands.py")
ALIVE = {"Q", "H", "R", "E"}


class FakePbs:
    """The state that the commands share, and the environment in which they are found."""

    def __init__(self, folder: Path, *, slots: int = 2):
        self.home = folder / "pbs"
        self._bin = self.home / "bin"
        self._bin.mkdir(parents=True)
        self.user_home = self.home / "user"
        self.user_home.mkdir()
        for name in COMMANDS:
            path = self._bin / name
            path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{SCRIPT}" {name} "$@"\n')
            path.chmod(0o755)
        state = {
            "next": 1, "jobs": {}, "faults": {}, "calls": {}, "asked": [], "slots": slots, "holds": False,
            "kill_wait": 0.5, "strange_state": "",
            "history": True,
            "json": "good",  # or none, broken, first: of several ids, the first alone
            "lists_own": True,  # else qstat -u prints its table, whatever else it is told
            "shows_arrays": True,  # else ``-t`` without an id lists tasks alone, the waiting ones, too
            "shows_subjobs": True,  # else nothing tells of the tasks of an array that run
            "tells_walltime": True,  # else an exceeded limit leaves the shell's own exit status
            "top_shell": False,  # whether a shell that does not heed signals runs the script
        }  # fmt: skip
        (self.home / "state.json").write_text(json.dumps(state))

    def environment(self) -> dict[str, str]:
        """What a process needs to use it."""
        path = f"{self._bin}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "PBS_CONF_FILE": str(self.home / "pbs.conf")}

    @contextmanager
    def state(self) -> Iterator[dict[str, Any]]:
        """Read and change everything."""
        with (self.home / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            path = self.home / "state.json"
            state = json.loads(path.read_text())
            yield state
            path.write_text(json.dumps(state))

    def next_fails(self, command: str, *faults: dict[str, Any]) -> None:
        """What happens at the next calls of *command*, one each."""
        with self.state() as state:
            state["faults"].setdefault(command, []).extend(faults)

    def calls(self, command: str) -> int:
        """How often it was run."""
        with self.state() as state:
            return int(state["calls"].get(command, 0))

    def asked(self) -> list[list[str]]:
        """The words of every qstat so far."""
        with self.state() as state:
            return list(state["asked"])

    def set(self, **changes: Any) -> None:
        """Change settings."""
        with self.state() as state:
            state.update(changes)

    def change(self, local_id: str, **changes: Any) -> None:
        """Change a job, as somebody else would: ``cancel``, ``rerun``, ``options``, its row."""
        with self.state() as state:
            for each in state["jobs"][_number(local_id)]["tasks"].values():
                each.update(changes)

    def release(self, local_id: str) -> None:
        """Let go of a job that is held (``qrls``)."""
        with self.state() as state:
            state["jobs"][_number(local_id)]["options"].pop("h", None)

    def forget(self, local_id: str) -> None:
        """A job is not in the history any more."""
        with self.state() as state:
            del state["jobs"][_number(local_id)]

    def reset(self) -> None:
        """The server's data is lost: ids begin anew."""
        self.set(next=1, jobs={})

    def end_everything(self) -> None:
        """Delete all jobs and wait until nothing runs any more."""
        with self.state() as state:
            for job in state["jobs"].values():
                for each in job["tasks"].values():
                    each["cancel"] = True
        ends = time.monotonic() + 30
        while self._some_live():
            assert time.monotonic() < ends
            time.sleep(0.02)

    def _some_live(self) -> bool:
        with self.state() as state:
            tasks = [each for job in state["jobs"].values() for each in job["tasks"].values()]
        return any(each["state"] in ALIVE for each in tasks)


def _number(local_id: str) -> str:
    return local_id.partition(".")[0].partition("[")[0]
