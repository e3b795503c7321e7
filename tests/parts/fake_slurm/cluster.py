"""A Slurm that is none: its commands on a PATH of their own, told to fail when a test wants it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

from attrs import frozen

COMMANDS = ("sbatch", "squeue", "scontrol", "scancel", "sacct", "sinfo")
SCRIPT = Path(__file__).with_name("commands.py")


@frozen
class CallLog:
    """A file in which each command leaves a line ``+ NAME`` when it begins and ``- NAME`` at its end."""

    path: Path

    def counts(self) -> Counter[str]:
        """How often each was run."""
        return Counter(name for sign, name in self._lines() if sign == "+")

    def most_at_once(self, command: str) -> int:
        """How many of one kind ever ran at the same time."""
        changes = [1 if sign == "+" else -1 for sign, name in self._lines() if name == command]
        return max(accumulate(changes), default=0)

    def _lines(self) -> list[list[str]]:
        return [line.split() for line in self.path.read_text().splitlines()] if self.path.exists() else []


class FakeSlurm:
    """The state that the commands share, and the environment in which they are found."""

    def __init__(self, folder: Path, *, slots: int = 2, min_job_age: float = 300, accounting: bool = False):
        self.home = folder / "slurm"
        self._bin = self.home / "bin"
        self._bin.mkdir(parents=True)
        for name in COMMANDS:
            path = self._bin / name
            path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{SCRIPT}" {name} "$@"\n')
            path.chmod(0o755)
        state = {
            "next": 1, "jobs": {}, "accounted": {}, "faults": {}, "away": {}, "calls": {}, "slots": slots,
            "holds": False, "min_job_age": min_job_age, "kill_wait": 0.5, "accounting": accounting,
            "max_array_size": 1001, "strange_state": "", "nodes": True,
        }  # fmt: skip
        (self.home / "state.json").write_text(json.dumps(state))

    def environment(self) -> dict[str, str]:
        """What a process needs to use it."""
        path = f"{self._bin}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "SLURM_CONF": str(self.home / "slurm.conf")}

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

    def goes_away(self, fault: dict[str, Any], *commands: str) -> None:
        """What happens at every call of *commands*, of all if none is named, until `comes_back`."""
        self.set(away=dict.fromkeys(commands or COMMANDS, fault))

    def comes_back(self) -> None:
        """All is well again."""
        self.set(away={})

    def calls(self, command: str) -> int:
        """How often it was run."""
        with self.state() as state:
            return int(state["calls"].get(command, 0))

    def most_at_once(self, command: str) -> int:
        """How many of them ever ran at the same time."""
        return CallLog(self.home / "calls.log").most_at_once(command)

    def without_nodes(self) -> None:
        """Every job waits for ever, and costs this machine nothing."""
        self.set(nodes=False)

    def set(self, **changes: Any) -> None:
        """Change settings."""
        with self.state() as state:
            state.update(changes)

    def task_states(self, job_id: str) -> set[str]:
        """How the tasks of a job stand, in Slurm's own words."""
        with self.state() as state:
            return {each["state"] for each in state["jobs"][job_id]["tasks"].values()}

    def forget(self, job_id: str) -> None:
        """Slurm forgets an ended job; accounting, where there is any, does not."""
        with self.state() as state:
            state["accounted"][job_id] = state["jobs"].pop(job_id)

    def cancel(self, job_id: str) -> None:
        """Somebody else ends a job, or one task of it (``3_7``)."""
        subprocess.run([self._bin / "scancel", job_id], env=os.environ | self.environment(), check=True)

    def reset(self) -> None:
        """The state of the controller is lost: ids begin anew."""
        self.set(next=1, jobs={})

    def end_everything(self) -> None:
        """Cancel all jobs and wait until nothing runs any more."""
        with self.state() as state:
            if not state["nodes"]:
                state["jobs"].clear()
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
        return any(each["state"] in {"PENDING", "RUNNING"} for each in tasks)
