"""Measure how long users wait for commands, as a ratio to the start of Python, to compare machines."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from common import median, moto, scratch, seconds_of, table

from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.job_repository import BucketJobRepository
from cloudq.bootstrap.stores import open_store
from cloudq.config import load_config
from tests.builders import a_finished_job
from tests.parts.site import Site

BUDGET_HELP_S = 0.25


def pair(site: Site, runs: int, *words: str) -> tuple[float, float]:
    """Return the median seconds of a command and its median ratio to an idle Python, both run in turn."""
    command = [sys.executable, "-m", "cloudq.entrypoints.cloudqcli", *words]
    nothing = [sys.executable, "-c", "pass"]
    took, ratios = [], []
    for _ in range(runs):
        plain = seconds_of(lambda: run(site, nothing))
        took.append(seconds_of(lambda: run(site, command)))
        ratios.append(took[-1] / plain)
    return median(took), median(ratios)


def run(site: Site, argv: list[str]) -> None:
    subprocess.run(argv, env=site.environment(), cwd=site.root, check=True, capture_output=True)


def fill(site: Site, unfinished: int, finished: int) -> str:
    """Put jobs into the store and return the id of one."""
    script = site.script("#!/bin/bash\n:\n")
    store = open_store(load_config(site.environment()).store, SystemClock())
    repository = BucketJobRepository(store, RandomIds())
    for number in range(finished):
        repository.put_history(repository.history_key(a_finished_job(f"{number:08x}")))
    with site.client() as client:
        jobs = [client.submit(script, submit_to=site.system, force=True).job for _ in range(unfinished)]
    return jobs[0].uuid


def rows(site: Site, kind: str, chosen: argparse.Namespace) -> list[tuple[str, ...]]:
    job_id = fill(site, chosen.unfinished, chosen.finished)
    submit = ("submit", "--script", "job.sh", "--submit_to", site.system, "--force")
    commands = {
        "--help": ("--help",),
        "submit": submit,
        "stat": ("stat", job_id),
        f"list, {chosen.unfinished} jobs nobody took": ("list",),
        f"history of {chosen.finished}": ("history",),
    }
    told = []
    for what, words in commands.items():
        took, ratio = pair(site, chosen.runs, *words)
        told.append((what, kind, f"{took:.2f} s", f"{ratio:.1f}"))
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--unfinished", type=int, default=100)
    parser.add_argument("--finished", type=int, default=1000)
    chosen = parser.parse_args()
    with scratch() as place, moto() as s3:
        told = rows(Site(Path(place) / "directory"), "directory", chosen)
        told += rows(Site(Path(place) / "s3", s3), "S3", chosen)
    head = ("command", "store", "median", "times python -c pass")
    table(f"Commands (budget: --help < {BUDGET_HELP_S} s on two cores)", head, told)


if __name__ == "__main__":
    main()
