"""Provide stand-ins for PBS's commands on a separate PATH, which fail when a test requires it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.parts.fake_commands import FakeScheduler

COMMANDS = ("qsub", "qstat", "qdel")
SCRIPT = Path(__file__).with_name("commands.py")
ALIVE = {"Q", "H", "R", "E"}


class FakePbs(FakeScheduler):
    """The state that the commands share, and the environment in which they are found."""

    def __init__(self, folder: Path, *, slots: int = 2):
        state = {
            "slots": slots, "holds": False,
            "kill_wait": 0.5, "strange_state": "",
            "history": True,
            "down": False,  # whether the server is away
            "json": "good",  # or none, broken, first: of several ids, only the first
            "cannot_start": False,  # whether a job that is started fails to, until it is held
            "lists_own": True,  # otherwise qstat -u prints its table, whatever its other options
            "shows_arrays": False,  # whether ``-t`` with ``-u`` lists arrays, too, not only their tasks
            "shows_subjobs": True,  # otherwise running tasks of an array are not shown
            "tells_walltime": True,  # otherwise an exceeded limit leaves the shell's own exit status
            "top_shell": False,  # whether a shell that ignores signals runs the script
        }  # fmt: skip
        super().__init__(folder / "pbs", SCRIPT, COMMANDS, state)
        self.user_home = self.home / "user"
        self.user_home.mkdir()

    def environment(self) -> dict[str, str]:
        """Return the variables that a process needs to use it."""
        return {"PATH": self.path, "PBS_CONF_FILE": str(self.home / "pbs.conf")}

    def change(self, scheduler_job_id: str, **changes: Any) -> None:
        """Change a job's row as other users or a failure would: ``rerun``, ``node`` (the node fails)."""
        with self.state() as state:
            for each in state["jobs"][_number(scheduler_job_id)]["tasks"].values():
                each.update(changes)

    def delete(self, *scheduler_job_ids: str) -> None:
        """Delete jobs or tasks, as another user would."""
        qdel = self.home / "bin" / "qdel"
        subprocess.run([qdel, *scheduler_job_ids], env=os.environ | self.environment(), check=True)

    def release(self, scheduler_job_id: str) -> None:
        """Release a job that is held (``qrls``)."""
        with self.state() as state:
            job = state["jobs"][_number(scheduler_job_id)]
            job["options"].pop("h", None)
            job.pop("failed_start", None)

    def forget(self, scheduler_job_id: str) -> None:
        """Remove a job from the history."""
        with self.state() as state:
            del state["jobs"][_number(scheduler_job_id)]

    def end_everything(self) -> None:
        """Delete all jobs and wait until none runs any more."""
        with self.state() as state:
            for job in state["jobs"].values():
                job["options"].pop("W", None)
                for each in job["tasks"].values():
                    each["cancel"] = True
        self.wait_until(lambda jobs: not any(each["state"] in ALIVE for each in _tasks(jobs)))


def _tasks(jobs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (each for job in jobs.values() for each in job["tasks"].values())


def _number(scheduler_job_id: str) -> str:
    return scheduler_job_id.partition(".")[0].partition("[")[0]
