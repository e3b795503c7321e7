"""Provide a machine with cloudq on it: real commands and real agents, in a separate home."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from cloudq.adapters import process
from cloudq.client import Client
from cloudq.config import load_config
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.lease import ProcessIdentity

INTERVAL_S = 0.3


@define
class Site:
    """One home directory, one system, one store."""

    root: Path
    variables: dict[str, str] = field(factory=dict)
    """The variables for the store and for access to it."""
    system: str = "local"

    @property
    def home(self) -> Path:
        return self.root / "home"

    def environment(self) -> dict[str, str]:
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("CLOUDQ_", "AWS_"))
        }
        own = {
            "CLOUDQ_HOME": str(self.home),
            "CLOUDQ_AGENT_NAME": self.system,
            "CLOUDQ_AGENT_DAEMON_INTERVAL": str(INTERVAL_S),
            "CLOUDQ_AGENT_ALLOW_ROOT": "true",  # CI runs as root
        }
        return clean | own | self.variables

    def run(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``cloudqcli`` or ``cloudqd`` until it ends."""
        argv = [sys.executable, "-m", f"cloudq.entrypoints.{command}", *words]
        return subprocess.run(
            argv,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=self.root,
        )

    def cli(self, *words: str) -> str:
        """Return the output of ``cloudqcli``, which must succeed."""
        done = self.run("cloudqcli", *words)

        assert done.returncode == 0, done.stderr
        return done.stdout

    def client(self) -> Client:
        return Client.connect(load_config(self.environment()))

    def script(self, body: str, name: str = "job.sh") -> Path:
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / name
        path.write_text(body)
        return path

    def start_agent(self) -> subprocess.Popen[bytes]:
        """Start an agent in the foreground of a separate process."""
        log = (self.root / "agent.out").open("ab")
        argv = [sys.executable, "-m", "cloudq.entrypoints.cloudqd", "--daemon"]
        with log:
            return subprocess.Popen(
                argv, env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.root
            )

    @contextmanager
    def agent(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run an agent that is asked to end afterwards, and must exit cleanly."""
        running = self.start_agent()
        try:
            wait_until(lambda: self._has_noted(running.pid) or running.poll() is not None)
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(timeout=60) == 0, (self.root / "agent.out").read_text()[-3000:]

    def _has_noted(self, pid: int) -> bool:
        """Return whether the agent has started far enough to handle signals."""
        notes = (self.home / "run").glob(f"{self.system}@*")
        return any(note.read_text().startswith(f"{pid} ") for note in notes)

    def agent_killed_again_and_again(
        self, client: Client, job_ids: list[str], seed: int, lives_s: tuple[float, float], longest_s: float
    ) -> int:
        """Kill one agent after the other with SIGKILL until all jobs have ended; return the number killed."""
        return self.agents_killed_until(
            lambda: all_ended(client, job_ids),
            random.Random(seed),
            lives_s,
            longest_s,
            lambda: self.tell(client, job_ids),
        )

    def agents_killed_until(
        self,
        is_over: Callable[[], bool],
        chance: random.Random,
        lives_s: tuple[float, float],
        longest_s: float,
        tell: Callable[[], str],
    ) -> int:
        """Kill one agent after the other with SIGKILL; return the number killed.

        Each lives longer than the one before: on a busy machine, the first ones may not act at all.
        """
        ends = time.monotonic() + longest_s
        killed = 0
        while not is_over():
            assert time.monotonic() < ends, tell()
            running = self.start_agent()
            time.sleep(chance.uniform(*lives_s) * (1 + killed / 40))
            running.kill()
            running.wait()
            killed += 1
        return killed

    def tell(self, client: Client, job_ids: list[str]) -> str:
        """Describe the jobs and the agent, for a failed test."""
        states = [f"{job_id} {client.job(job_id).state.value}" for job_id in job_ids]
        return "\n".join([*states, (self.root / "agent.out").read_text()[-3000:]])

    def processes_left(self) -> list[ProcessIdentity]:
        """Return the processes that still run anything of this home."""
        mark = str(self.home).encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if mark in command:
                found.append(process.identity_of(int(entry.name)))
        return found


def all_ended(client: Client, job_ids: list[str]) -> bool:
    """Return whether every job is final."""
    return all(client.job(job_id).is_final for job_id in job_ids)


def ended(client: Client, *job_ids: str, timeout: float = 90.0) -> list[Job]:
    """Return the jobs once they have ended."""
    return [client.wait(job_id, timeout=timeout, poll=0.2) for job_id in job_ids]


def wait_until(is_so: Callable[[], bool], longest_s: float = 60.0) -> None:
    """Check repeatedly until *is_so* is true; fail if it never is."""
    ends = time.monotonic() + longest_s
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.1)
