"""A Grid Engine that is none: its commands on a PATH of their own, told to fail when a test wants it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.parts.fake_commands import make_commands, opened_state

COMMANDS = ("qsub", "qstat", "qdel", "qacct")


class FakeGridEngine:
    """The state that the commands share, and the environment in which they are found."""

    def __init__(self, folder: Path, *, slots: int = 2) -> None:
        self.home = folder / "grid_engine"
        self._bin = self.home / "bin"
        make_commands(self._bin, Path(__file__).with_name("commands.py"), COMMANDS)
        state = {
            "next": 1, "jobs": {}, "accounts": [], "faults": {}, "calls": {}, "slots": slots, "holds": False,
            "accounting": True, "accounting_delay": 0, "keeps_commands": False, "strange_state": "",
        }  # fmt: skip
        (self.home / "state.json").write_text(json.dumps(state))

    def environment(self) -> dict[str, str]:
        """What a process needs to use it."""
        path = f"{self._bin}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "SGE_ROOT": str(self.home), "SGE_CELL": "cell"}

    def state(self) -> AbstractContextManager[dict[str, Any]]:
        """Read and change everything."""
        return opened_state(self.home)

    def next_fails(self, command: str, *faults: dict[str, Any]) -> None:
        """What happens at the next calls of *command*, one each."""
        with self.state() as state:
            state["faults"].setdefault(command, []).extend(faults)

    def calls(self, command: str, *words: str) -> int:
        """How often it was run, with all of *words* among its own."""
        with self.state() as state:
            return sum(set(words) <= set(call) for call in state["calls"].get(command, []))

    def set(self, **changes: Any) -> None:
        """Change settings."""
        with self.state() as state:
            state.update(changes)

    def qdel(self, job_id: str) -> None:
        """Somebody deletes a job by hand."""
        with self.state() as state:
            for each in state["jobs"][job_id]["tasks"].values():
                each["cancel"] = True

    def wait_until_gone(self, job_id: str) -> None:
        """Until it is not listed any more."""
        self._wait_until(lambda jobs: job_id not in jobs)

    def reset(self) -> None:
        """The spool is lost, accounts are not: ids begin anew."""
        self.set(next=1, jobs={})

    def end_everything(self) -> None:
        """Delete all jobs and wait until nothing runs any more."""
        with self.state() as state:
            state["holds"] = False
            for job in state["jobs"].values():
                for each in job["tasks"].values():
                    each["cancel"] = True
        self._wait_until(lambda jobs: not jobs)

    def _wait_until(self, is_so: Callable[[dict[str, Any]], bool]) -> None:
        ends = time.monotonic() + 30
        while True:
            with self.state() as state:
                if is_so(state["jobs"]):
                    return
            assert time.monotonic() < ends
            time.sleep(0.02)
