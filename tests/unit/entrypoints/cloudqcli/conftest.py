"""Fixtures: the command line with a client that is wired to parts in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import define
from click.testing import CliRunner, Result

from cloudq.adapters.job_repository import BucketJobQueue, BucketJobRepository
from cloudq.client import Client
from cloudq.domain.jobs.job import Job
from cloudq.domain.names import ClaimTag
from cloudq.entrypoints.cloudqcli import main
from cloudq.entrypoints.cloudqcli.session import Session
from cloudq.testing.fake_clock import FakeClock
from tests.parts.scripted_scheduler import Script
from tests.parts.world import Agent, World


@define
class WorkingClock(FakeClock):
    """A clock that lets the agent work while a command sleeps."""

    agent: Agent | None = None

    def sleep(self, seconds: float) -> None:
        self.pass_by(seconds)
        if self.agent is not None:
            self.agent.cycle()


@define
class Cli:
    """A runner for commands against the world in memory."""

    clock: WorkingClock
    world: World
    golden: Callable[[str, str], None]

    def __call__(self, *args: str | Path, typed: str | None = None) -> Result:
        """Run ``cloudqcli`` with *args*."""
        session = Session(connect=lambda _: Client(self.world.client()))
        return CliRunner().invoke(main, [str(arg) for arg in args], obj=session, input=typed)

    def submit(self, *options: str | Path) -> str:
        """Submit a script and return the job's id."""
        result = self("submit", "--script", self.script(), "--submit_to", "alpha", *options)
        assert result.exit_code == 0, result.output
        return result.stdout.partition("(")[2].partition(")")[0]

    def script(self, name: str = "run.sh", text: str = "#!/bin/bash\necho hello\n") -> Path:
        """A script on disk."""
        path = self.world.tmp / name
        path.write_text(text)
        return path

    def agent(self, script: Script | None = None) -> Agent:
        """An agent of alpha, whose scheduler plays *script*; it works whenever a command waits."""
        system = self.world.system("alpha", behaviour=lambda *_: script or Script())
        agent = self.clock.agent = self.world.agent(system)
        agent.cycle()
        return agent

    def ended(self, *options: str | Path, script: Script | None = None) -> str:
        """A job that alpha has run to its final state."""
        agent = self.agent(script)
        job_id = self.submit(*options)
        agent.until_final(job_id)
        agent.cycles(2)
        return job_id

    def job(self, job_id: str) -> Job:
        """A job's record."""
        return self.jobs.load(job_id).job

    def put(self, job: Job) -> Job:
        """Put a job into the store unchanged, and list it in the history or the queue."""
        jobs, queue = self.jobs, BucketJobQueue(self.world.store, self.world.ids)
        if job.is_final:
            jobs.put_history(jobs.history_key(job))
        else:
            queue.invite(job.run_system or job.submit_to, job.tag if job.claim else self._first(job))
        return jobs.reserve(job).job

    @property
    def jobs(self) -> BucketJobRepository:
        """The jobs in the store."""
        return BucketJobRepository(self.world.store, self.world.ids)

    @staticmethod
    def _first(job: Job) -> ClaimTag:
        return ClaimTag(job.uuid, 1)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable[[str, str], None]) -> Cli:
    """A command line with the embedded default configuration in a fresh home."""
    monkeypatch.setenv("CLOUDQ_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    clock = WorkingClock()
    return Cli(clock, World(tmp_path, clock), golden)


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The clock of a user in Tokyo, nine hours ahead of UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
