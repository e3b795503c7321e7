"""Provide jobs that record each of their runs, so that a test can count them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from cloudq.client import Client
from cloudq.domain.jobs.job_state import JobState
from tests.parts.site import Site
from tests.parts.world import text_of

COUNTS_ITS_RUNS = """\
#!/bin/bash
echo "$1 run" >> "{runs}/$(basename "$PWD")"
echo "output of $(basename "$PWD")"
sleep {seconds}
echo done > result.txt
exit {code}
"""

KNOWS_ITS_END = """\
#!/bin/bash
id=$(basename "$PWD")
echo "$1 run" >> "{runs}/$id"
echo "output of $id"
sleep $((16#${{id:6:1}} * {longest_ms} / 15))e-3
echo done > result.txt
case $id in *[05af]) exit 3 ;; esac
"""
"""One script for all jobs: its duration and its exit code depend only on the job's id."""


def code_of(job_id: str) -> int:
    """Return the exit code of a job of `KNOWS_ITS_END`."""
    return 3 if job_id[-1] in "05af" else 0


def submit_many(site: Site, client: Client, count: int, runs: Path, longest_s: float = 1.0) -> dict[str, int]:
    """Submit jobs with one script name that exit with 0 or 3; return the exit codes by id."""
    runs.mkdir()
    expected = {}
    for number in range(count):
        code = 3 if number % 5 == 0 else 0
        job_id = submit_counted(site, client, runs, seconds=longest_s * (number % 10) / 10, code=code)
        expected[job_id] = code
    return expected


def submit_counted(
    site: Site, client: Client, runs: Path, *, seconds: float = 0.1, code: int = 0, **options: Any
) -> str:
    """Submit one job that records its runs; return its id."""
    body = COUNTS_ITS_RUNS.format(runs=runs, seconds=seconds, code=code)
    return client.submit(site.script(body), submit_to=site.system, force=True, **options).job.uuid


def check_all(client: Client, expected: dict[str, int], runs: Path) -> None:
    jobs = {job_id: client.job(job_id) for job_id in expected}
    assert {job_id: job.exit_code for job_id, job in jobs.items()} == expected
    assert {job.state for job in jobs.values()} <= {JobState.DONE, JobState.ERROR}
    assert {path.name: len(path.read_text().splitlines()) for path in runs.iterdir()} == dict.fromkeys(
        expected, 1
    )
    for job_id in expected:
        assert text_of(client.log(job_id)) == f"output of {job_id}\n"
        assert jobs[job_id].size_output
    assert sorted(entry.job_id for entry in client.history()) == sorted(expected)
    ends = time.monotonic() + 60
    while left := client.jobs().jobs:  # the agents' summary is written every 5 s
        assert time.monotonic() < ends, left
        time.sleep(0.1)
