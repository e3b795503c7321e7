"""Run a whole agent on a stand-in for a scheduler, with jobs that record their runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from cloudq.client import Client
from cloudq.domain.jobs.job_state import JobState
from tests.parts.fault_kinds import Kind
from tests.parts.site import Site, ended, wait_until

SECONDS = "poll_interval = 1\nquery_limit = 1\nsubmit_wait = 1\nsubmit_limit = 3\n"

COUNTED = "#!/bin/bash\necho run >> {root}/runs.{name}\necho output of {name}\n"
WAITS = COUNTED + "until [ -e {root}/go ]; do sleep 0.05; done\nexit 3\n"


@frozen
class FaultySite:
    """A site whose scheduler is a stand-in."""

    kind: Kind
    site: Site
    fake: Any
    """The stand-in; its methods differ between kinds."""

    def submit(self, client: Client, body: str, name: str) -> str:
        script = self.site.script(body.format(root=self.site.root, name=name), f"{name}.sh")
        return client.submit(script, submit_to=self.site.system, force=True).job.uuid

    def running(self, client: Client, body: str, name: str) -> str:
        job_id = self.submit(client, body, name)
        wait_until(lambda: client.job(job_id).state is JobState.RUN)
        return job_id

    def let_go(self) -> None:
        """Let the waiting scripts end."""
        (self.site.root / "go").touch()

    def runs(self, *names: str) -> list[int]:
        return [len((self.site.root / f"runs.{name}").read_text().splitlines()) for name in names]

    def submissions(self) -> int:
        """Return how often the submit command was run."""
        calls: int = self.fake.calls(self.kind.submit)
        return calls

    def log(self) -> str:
        return (self.site.root / "agent.out").read_text()

    def wait_for_calls(self, command: str, more: int) -> None:
        """Wait until a command was run *more* times."""
        before = self.fake.calls(command)
        wait_until(lambda: self.fake.calls(command) >= before + more)

    def wait_until_over(self, scheduler_job_id: str) -> None:
        """Wait until the scheduler itself has ended the job."""
        self.fake.wait_until(lambda jobs: self.kind.is_over(jobs, scheduler_job_id))

    def told(self, client: Client, *job_ids: str) -> list[tuple[str, int | None]]:
        """Return the final states and exit codes of jobs."""
        return [(job.state.value, job.exit_code) for job in ended(client, *job_ids)]


@contextmanager
def faulty_site(kind: Kind, folder: Path) -> Iterator[FaultySite]:
    """Run a site of this kind, and undo all faults of its scheduler afterwards."""
    fake = kind.fake(folder, 8)
    site = Site(folder, {**fake.environment(), "CLOUDQ_AGENT_PROFILE": kind.profile}, "cluster")
    own = site.home / "systems"
    own.mkdir(parents=True, mode=0o700)
    (own / f"{kind.profile}.toml").write_text(SECONDS)
    yield FaultySite(kind, site, fake)
    fake.comes_back()
    fake.end_everything()
