"""Measure an agent with many live jobs on Slurm: its queries per minute and their cost.

By default, stand-ins replace Slurm's commands, on a cluster without nodes, so that every job waits. With
`--real`, a Slurm is started for the measurement, and the jobs are held.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen
from common import cpu_seconds, peak_mb, scratch, table

from tests.parts.fake_slurm.cluster import CallLog, FakeSlurm
from tests.parts.site import Site, wait_until
from tests.parts.slurm import Slurm, SlurmSettings

LONGEST_S = 900.0
INTERVAL_S = 5.0


NOTED = """\
#!/bin/sh
echo "+ {name}" >>"{log}"
{command} "$@"
code=$?
echo "- {name}" >>"{log}"
exit $code
"""


@frozen
class Cluster:
    """A Slurm for the agent and the jobs, and the log of its commands."""

    environment: dict[str, str]
    calls: CallLog
    submit_opt: str = ""


@contextmanager
def stand_in(place: Path) -> Iterator[Cluster]:
    slurm = FakeSlurm(place)
    slurm.without_nodes()
    yield Cluster(slurm.environment(), CallLog(slurm.home / "calls.log"))


@contextmanager
def real(place: Path) -> Iterator[Cluster]:
    log, commands = place / "calls.log", place / "bin"
    commands.mkdir()
    for name in ("sbatch", "squeue", "scontrol", "scancel"):
        path = commands / name
        path.write_text(NOTED.format(name=name, log=log, command=shutil.which(name)))
        path.chmod(0o755)
    slurm = Slurm(SlurmSettings(min_job_age=300))
    slurm.start()
    try:
        path = f"{commands}{os.pathsep}{os.environ['PATH']}"
        yield Cluster({**slurm.environment(), "PATH": path}, CallLog(log), "--hold")
    finally:
        slurm.stop()


def hold(site: Site, jobs: int, submit_opt: str) -> None:
    """Let the agent hand over *jobs* jobs."""
    script = site.script("#!/bin/bash\n:\n")
    with site.client() as client:
        for _ in range(jobs):
            client.submit(script, submit_to=site.system, submit_opt=submit_opt, force=True)
    out = site.root / "agent.out"
    wait_until(lambda: out.read_text().count("job handed over") >= jobs, LONGEST_S)
    time.sleep(3 * INTERVAL_S)  # until the records have been written


def row(place: Path, cluster: Cluster, jobs: int, seconds: float) -> tuple[str, ...]:
    interval = {"CLOUDQ_AGENT_DAEMON_INTERVAL": str(INTERVAL_S), "CLOUDQ_AGENT_PROFILE": "slurm"}
    site = Site(place, {**cluster.environment, **interval}, "cluster")
    with site.agent() as agent:
        hold(site, jobs, cluster.submit_opt)
        before, cpu = cluster.calls.counts(), cpu_seconds(agent.pid)
        time.sleep(seconds)
        asked, cpu = cluster.calls.counts() - before, cpu_seconds(agent.pid) - cpu
        peak = peak_mb(agent.pid)
    submitted = cluster.calls.counts()["sbatch"] / jobs
    others = asked.total() - asked["squeue"]
    minutes = seconds / 60
    return (
        str(jobs), f"{asked['squeue'] / minutes:.0f}", str(cluster.calls.most_at_once("squeue")),
        str(others), f"{submitted:.2f}", f"{cpu / minutes:.2f} s", f"{peak:.0f} MB",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="*", default=[1, 200], help="live jobs")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to watch")
    parser.add_argument("--real", action="store_true", help="on a real Slurm, of Debian's packages")
    chosen = parser.parse_args()
    started = real if chosen.real else stand_in
    rows = []
    for jobs in chosen.jobs:
        with scratch() as place, started(Path(place)) as cluster:
            rows.append(row(Path(place), cluster, jobs, chosen.seconds))
    head = (
        "live jobs", "squeue a minute", "at once, ever", "other commands", "sbatch a job",
        "agent CPU a minute", "peak memory",
    )  # fmt: skip
    table("Slurm, interval 5 s, poll_interval 10 s (most: 6 squeue a minute, 1 at once)", head, rows)


if __name__ == "__main__":
    main()
