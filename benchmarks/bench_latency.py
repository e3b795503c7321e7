"""Measure the time from submit to DONE of one trivial job on an idle agent, submitted between two polls."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from common import moto, scratch, seconds_of, spread, table

from cloudq.client import Client
from cloudq.domain.jobs.job_state import JobState
from tests.parts.site import Site, wait_until
from tests.parts.slurm import Slurm

LOOK_EVERY_S = 0.05


def submit_to_done(client: Client, site: Site, script: Path) -> None:
    job_id = client.submit(script, submit_to=site.system).job.uuid
    job = client.wait(job_id, poll=LOOK_EVERY_S, timeout=120)
    assert job.state is JobState.DONE, job


def row(site: Site, kind: str, interval_s: float, runs: int) -> tuple[str, ...]:
    site.variables["CLOUDQ_AGENT_DAEMON_INTERVAL"] = str(interval_s)
    script = site.script("#!/bin/bash\n:\n")
    took = []
    with site.agent(), site.client() as client:
        wait_until(lambda: "acting for" in (site.root / "agent.out").read_text())
        for run in range(runs):
            time.sleep(interval_s * (run + 0.5) / runs)  # independent of the agent's phase
            took.append(seconds_of(lambda: submit_to_done(client, site, script)))
    return kind, f"{interval_s:g} s", spread(took), "10.3 s (7.6-13.6), Slurm" if interval_s == 5 else ""


def slurm_row(place: Path, s3: dict[str, str], interval_s: float, runs: int) -> tuple[str, ...]:
    """Measure the same on a real Slurm on this machine."""
    slurm = Slurm()
    slurm.start()
    try:
        root = place / "slurm"
        root.mkdir()
        variables = (
            s3 | slurm.environment() | {"CLOUDQ_AGENT_PROFILE": "slurm", "CLOUDQ_STORE_PREFIX": "slurm/"}
        )
        return row(Site(root, variables, "cluster"), "S3, Slurm", interval_s, runs)
    finally:
        slurm.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--intervals", type=float, nargs="*", default=[5.0, 1.0])
    parser.add_argument("--slurm", action="store_true", help="also on a real Slurm")
    chosen = parser.parse_args()
    with scratch() as place, moto() as s3:
        rows = [
            row(Site(Path(place) / f"{kind}{each:g}", {**store, "CLOUDQ_STORE_PREFIX": f"{each:g}/"}),
                kind, each, chosen.runs)
            for kind, store in (("directory", {}), ("S3", s3))
            for each in chosen.intervals
        ]  # fmt: skip
        if chosen.slurm:
            rows += [slurm_row(Path(place), s3, each, chosen.runs) for each in chosen.intervals]
    table("Submit to DONE, one trivial job", ("store", "interval", "median", "original 1.2.0"), rows)


if __name__ == "__main__":
    main()
