"""Use a real PBS that is already installed here through the interface of its stand-in, as far as possible.

``REAL_PBS=/opt/pbs pytest …`` names its directory; nothing is set up or removed. The account that runs the
tests must be allowed to submit. Settings that only a manager of that PBS may change are skipped for other
accounts.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from cloudq.adapters.process import account

PREFIX = os.environ.get("REAL_PBS", "")
PATIENCE_S = 120.0
_NCPUS = re.compile(r"resources_available\.ncpus = ([0-9]+)")


class RealPbs:
    """The commands of a PBS, and the actions of other users on its jobs."""

    user_home = Path.home()

    def __init__(self) -> None:
        if not PREFIX:
            pytest.skip("no real PBS: REAL_PBS names where one is installed")
        assert (Path(PREFIX) / "bin" / "qsub").exists(), f"no PBS at REAL_PBS={PREFIX}"
        self.path = f"{PREFIX}/bin{os.pathsep}{os.environ['PATH']}"

    def environment(self) -> dict[str, str]:
        """Return the variables that a process needs to use it."""
        return {"PATH": self.path}

    @property
    def half_of_the_node(self) -> tuple[str, ...]:
        """Return the options of a job of which two fit on the node."""
        cpus = [int(each) for each in _NCPUS.findall(self._run("pbsnodes", "-a").stdout)]
        if len(cpus) != 1 or cpus[0] < 2:
            pytest.skip(f"the PBS at {PREFIX} must have one node with 2 CPUs or more, not {cpus}")
        return ("-l", f"select=1:ncpus={cpus[0] // 2}")

    def delete(self, *scheduler_job_ids: str) -> None:
        """Delete jobs or tasks, as another user would."""
        self._must("qdel", *scheduler_job_ids)

    def release(self, scheduler_job_id: str) -> None:
        """Release a job that its user holds."""
        self._must("qrls", scheduler_job_id)

    def change(self, scheduler_job_id: str, **changes: Any) -> None:
        """Put a job back into the queue."""
        assert changes == {"rerun": True}
        self._as_manager("qrerun", scheduler_job_id)

    def set(self, **settings: Any) -> None:
        """Change those settings of the server that the stand-in has, too."""
        for name, value in settings.items():
            if name == "holds":
                self._as_manager("qmgr", "-c", f"set server scheduling = {not value}")
            elif name == "history":
                self._as_manager("qmgr", "-c", f"set server job_history_enable = {value}")
            else:
                pytest.skip(f"a real PBS has no setting for {name}")

    def end_everything(self) -> None:
        """Delete all jobs of this account, wait until none is left, and undo all changes by `set`."""
        self._run("qmgr", "-c", "set server scheduling = True")
        self._run("qmgr", "-c", "set server job_history_enable = True")
        ends = time.monotonic() + PATIENCE_S
        while left := self._run("qselect", "-u", account()).stdout.split():
            assert time.monotonic() < ends, left
            self._run("qdel", "-W", "force", *left)
            time.sleep(0.3)

    def _as_manager(self, *argv: str) -> None:
        done = self._run(*argv)
        if "nauthorized" in done.stderr:
            pytest.skip(f"{account()} is no manager of the PBS at {PREFIX}")
        assert done.returncode == 0, done.stderr

    def _must(self, *argv: str) -> None:
        done = self._run(*argv)
        assert done.returncode == 0, done.stderr

    def _run(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [f"{PREFIX}/bin/{command}", *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
