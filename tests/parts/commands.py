"""Run the commands as separate processes, in a home that a test can discard."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from attrs import define

ROOT = Path(__file__).parents[2]
WITHIN_S = 90


@define
class Home:
    """A separate ``CLOUDQ_HOME``, whose agent polls every half a second."""

    path: Path

    @property
    def environ(self) -> dict[str, str]:
        """Return the environment of a user of this home."""
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CLOUDQ_HOME": str(self.path),
            "CLOUDQ_AGENT_DAEMON_INTERVAL": "0.5",
        }

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start a Python program and return at once."""
        return subprocess.Popen(
            [sys.executable, *args],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a Python program until it ends."""
        process = self.start(*args)
        out, err = process.communicate(timeout=WITHIN_S)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def cloudqcli(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the client."""
        return self.run("-m", "cloudq.entrypoints.cloudqcli", *args)

    def cloudqd(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the agent."""
        return self.run("-m", "cloudq.entrypoints.cloudqd", *args)

    def script(self, body: str) -> str:
        """Write a jobscript and return its path."""
        path = self.path.with_name("job.sh")
        path.write_text(f"#!/bin/bash\n{body}\n")
        return str(path)

    def submit(self, body: str) -> str:
        """Submit a jobscript; return the job's id."""
        said = self.cloudqcli("submit", "--script", self.script(body), "--submit_to", "local", "--force")
        assert said.returncode == 0, said.stderr
        return said.stdout[5:13]

    def state(self, job_id: str) -> str:
        """Return the state that ``stat`` shows."""
        [line] = [
            line for line in self.cloudqcli("stat", job_id).stdout.splitlines() if line.startswith("state")
        ]
        return line.split()[1]
