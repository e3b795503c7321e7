"""Provide stand-ins for Slurm's commands on a separate PATH, which fail when a test requires it."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.parts.fake_commands import FakeScheduler

COMMANDS = ("sbatch", "squeue", "scontrol", "scancel", "sacct", "sinfo")
ALIVE = {"PENDING", "RUNNING"}
SCRIPT = Path(__file__).with_name("commands.py")


@frozen
class CallLog:
    """A file to which each command adds a line ``+ NAME`` at its start and ``- NAME`` at its end."""

    path: Path

    def counts(self) -> Counter[str]:
        """Return the number of runs of each command."""
        return Counter(name for sign, name in self._lines() if sign == "+")

    def most_at_once(self, command: str) -> int:
        """Return the highest number of simultaneous runs of one command."""
        changes = [1 if sign == "+" else -1 for sign, name in self._lines() if name == command]
        return max(accumulate(changes), default=0)

    def _lines(self) -> list[list[str]]:
        return [line.split() for line in self.path.read_text().splitlines()] if self.path.exists() else []


class FakeSlurm(FakeScheduler):
    """The state that the commands share, and the environment in which they are found."""

    def __init__(self, folder: Path, *, slots: int = 2, min_job_age: float = 300, accounting: bool = False):
        state = {
            "accounted": {}, "slots": slots,
            "holds": False, "min_job_age": min_job_age, "kill_wait": 0.5, "accounting": accounting,
            "max_array_size": 1001, "strange_state": "", "nodes": True,
        }  # fmt: skip
        super().__init__(folder / "slurm", SCRIPT, COMMANDS, state)

    def environment(self) -> dict[str, str]:
        """Return the variables that a process needs to use it."""
        return {"PATH": self.path, "SLURM_CONF": str(self.home / "slurm.conf")}

    def most_at_once(self, command: str) -> int:
        """Return the highest number of simultaneous runs of the command."""
        return CallLog(self.home / "calls.log").most_at_once(command)

    def without_nodes(self) -> None:
        """Let every job wait forever, which costs this machine nothing."""
        self.set(nodes=False)

    def task_states(self, job_id: str) -> set[str]:
        """Return the states of a job's tasks, in Slurm's own words."""
        with self.state() as state:
            return {each["state"] for each in state["jobs"][job_id]["tasks"].values()}

    def fail(self, job_id: str, state: str, reason: str, code: str, task: str = "") -> None:
        """Let Slurm itself end a waiting job, or one task of it."""
        with self.state() as slurm:
            slurm["jobs"][job_id]["tasks"][task].update(
                state=state, reason=reason, code=code, end=time.time()
            )

    def forget(self, job_id: str) -> None:
        """Let Slurm forget an ended job; the accounting, if there is one, keeps it."""
        with self.state() as state:
            state["accounted"][job_id] = state["jobs"].pop(job_id)

    def cancel(self, job_id: str) -> None:
        """End a job, or one task of it (``3_7``), as another user would."""
        subprocess.run([self._bin / "scancel", job_id], env=os.environ | self.environment(), check=True)

    def end_everything(self) -> None:
        """Cancel all jobs and wait until none runs any more."""
        with self.state() as state:
            if not state["nodes"]:
                state["jobs"].clear()
            for job in state["jobs"].values():
                for each in job["tasks"].values():
                    each["cancel"] = True
        self.wait_until(lambda jobs: not any(each["state"] in ALIVE for each in _tasks(jobs)))


def _tasks(jobs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (each for job in jobs.values() for each in job["tasks"].values())
