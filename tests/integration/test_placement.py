"""Jobs that name no system, and three live agents: each job runs once, where it can start first."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from attrs import frozen

from cloudq.client import Client
from cloudq.domain.jobs.job import Job
from tests.parts.counted_runs import COUNTS_ITS_RUNS, check_all
from tests.parts.grid_engine import GridEngine
from tests.parts.site import Site, ended, wait_until
from tests.parts.slurm import Slurm
from tests.parts.three_systems import HEAD, three_sites, wait_for_reports

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(900)]

COUNT = int(os.environ.get("UNPINNED_JOBS", "24"))
FULL = os.environ.get("FULL_SYSTEMS", "slurm").split(",")
"""The clusters to fill completely, one per run of the test."""

MOST_HELD = 3
"""The most jobs that the full system may hold: it claims one per cycle of one second, until a job has waited
there for twice as long as usual, which is at least two seconds."""


@frozen
class Others:
    """Jobs outside cloudq that fill a whole system."""

    run: Callable[..., CompletedProcess[str]]
    submit: tuple[str, ...]
    running: tuple[str, ...]
    """A command that prints something once they run."""
    end: tuple[str, ...]

    def take_all(self) -> None:
        done = self.run(*self.submit)
        assert done.returncode == 0, done.stderr
        wait_until(lambda: self.run(*self.running).stdout.strip() != "")

    def let_go(self) -> None:
        assert self.run(*self.end).returncode == 0


@pytest.fixture
def sites(slurm: Slurm, grid_engine: GridEngine, tmp_path: Path) -> Iterator[dict[str, Site]]:
    """A login node of each cluster, and a workstation that lets the others claim first."""
    yield three_sites(tmp_path, slurm, grid_engine, interval_s=1, handicap_s=2)
    slurm.clear()
    grid_engine.clear()


@pytest.fixture
def others(slurm: Slurm, grid_engine: GridEngine) -> dict[str, Others]:
    cpus, slots = slurm.settings.nodes * slurm.settings.cpus, str(grid_engine.settings.slots)
    sbatch = ("sbatch", "--job-name=theirs", "--output=/dev/null", f"--ntasks={cpus}", "--wrap=sleep 3000")
    qsub = (
        "qsub",
        "-N",
        "theirs",
        "-o",
        "/dev/null",
        "-j",
        "y",
        "-pe",
        "smp",
        slots,
        "-b",
        "y",
        "sleep",
        "3000",
    )
    squeue = ("squeue", "--noheader", "--name=theirs", "--states=running")
    return {
        "slurm": Others(slurm.run, sbatch, squeue, ("scancel", "--name=theirs")),
        "gridengine": Others(grid_engine.run, qsub, ("qstat", "-s", "r"), ("qdel", "theirs")),
    }


@pytest.mark.parametrize("full", FULL)
def test_unpinned_jobs_run_once_each_and_hardly_any_waits_where_all_is_taken(
    full: str, sites: dict[str, Site], others: dict[str, Others], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    with sites["local"].client() as client, ExitStack() as agents:
        for site in sites.values():
            agents.enter_context(site.agent())
        wait_for_reports(client, *sites)
        before = submitted(client, sites["local"], runs, 4, submit_to=full)
        ended(client, *before)  # so that the system remembers only jobs that hardly waited
        others[full].take_all()
        expected = submitted(client, sites["local"], runs, COUNT)
        wait_until(lambda: not unfinished_elsewhere(client, expected, full), 600)
        held = [job for job in records(client, expected) if job.run_system == full]
        others[full].let_go()
        jobs = ended(client, *expected, timeout=300)
        check_all(client, before | expected, runs)

    report(full, jobs, held)
    assert len(held) <= MOST_HELD, [job.placement for job in held]
    assert {job.submit_to for job in jobs} == {""}
    assert all(job.placement.startswith(f"{job.run_system} ") for job in jobs)
    assert [job.uuid for job in jobs if job.run_system == full] == [job.uuid for job in held]


def submitted(client: Client, site: Site, runs: Path, count: int, submit_to: str = "") -> dict[str, int]:
    """Submit short jobs and return their expected exit codes by id."""
    expected = {}
    for number in range(count):
        code = 3 if number % 5 == 0 else 0
        body = COUNTS_ITS_RUNS.format(runs=runs, seconds=number % 4 / 2, code=code)
        script = site.script(HEAD + body.removeprefix("#!/bin/bash\n"))
        expected[client.submit(script, submit_to=submit_to).job.uuid] = code
    return expected


def records(client: Client, job_ids: dict[str, int]) -> list[Job]:
    return [client.job(job_id) for job_id in job_ids]


def unfinished_elsewhere(client: Client, job_ids: dict[str, int], full: str) -> list[Job]:
    return [job for job in records(client, job_ids) if not job.is_final and job.run_system != full]


def report(full: str, jobs: list[Job], held: list[Job]) -> None:
    """Log the figures, which ``--log-cli-level=INFO`` shows."""
    of_others = [job for job in jobs if job.run_system != full]
    waits = [
        (job.time_start - job.time_submit).total_seconds()
        for job in of_others
        if job.time_start is not None and job.time_submit is not None
    ]
    begin = min(job.time_submit for job in jobs if job.time_submit is not None)
    end = max(job.time_finish for job in of_others if job.time_finish is not None)
    rules = Counter(job.placement for job in jobs).most_common(12)
    logging.getLogger(__name__).info(
        "%s is full; %d jobs ran: %s; held there meanwhile: %d; longest wait elsewhere: %.0f s; all of those "
        "ended after %.0f s; %s",
        full, len(jobs), dict(Counter(job.run_system for job in jobs)), len(held), max(waits),
        (end - begin).total_seconds(), "; ".join(f"{number} {rule}" for rule, number in rules),
    )  # fmt: skip
