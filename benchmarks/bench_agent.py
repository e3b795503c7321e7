"""Measure the memory of an agent, and the cost of a cycle in which nothing changed.

Idle: the command `cloudqd` itself. With live jobs: the same parts in a separate process, with a scheduler in
memory that lets every job wait.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from common import cpu_seconds, median, moto, peak_mb, scratch, table, without_fsync

from cloudq.adapters import process
from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.workers import ThreadWorkers
from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.application.agent.agent_settings import AgentSettings
from cloudq.bootstrap.agent import AgentParts, AgentWorld, wire_agent
from cloudq.bootstrap.homes import lease_memory
from cloudq.bootstrap.stores import open_store
from cloudq.config import Config, load_config
from cloudq.domain.jobs.lease import Offer
from tests.parts.scripted_scheduler import ScriptedScheduler
from tests.parts.site import Site, wait_until

CYCLES = 7
CYCLE_S = 2.1  # longer than the scheduler's own interval, so that each cycle queries it


class Silence:
    """An agent's log that discards everything."""

    def info(self, event: str, **about: object) -> None: ...
    def warning(self, event: str, **about: object) -> None: ...
    def error(self, event: str, **about: object) -> None: ...
    def exception(self, event: str, **about: object) -> None: ...


def waiting_agent(config: Config) -> AgentParts:
    """Wire an agent as `cloudqd` does, except for its log and its scheduler."""
    clock, workers = SystemClock(), ThreadWorkers(config.agent.num_procs)
    scheduler = ScriptedScheduler(clock)
    scheduler.holds_queue = True
    outside = AgentWorld(
        store=open_store(config.store, clock), scheduler=scheduler,
        workspace=DirectoryWorkspace(config.home, clock, RandomIds()), clock=clock, ids=RandomIds(),
        workers=workers, process=process.own_identity(), lease_memory=lease_memory(config),
        is_process_gone=process.is_gone,
        log=Silence(), wake=clock.wake, close=workers.close,
    )  # fmt: skip
    return wire_agent(outside, AgentSettings(config.agent.name), Offer("scripted", unpinned=True))


def live(jobs: int) -> None:
    """Hold *jobs* jobs and print the cost; runs in a separate process."""
    without_fsync()
    parts = waiting_agent(load_config(os.environ))
    assert parts.run.lease.acquire() is None
    parts.run.cycle.begin_epoch()
    began = time.process_time()
    while sum(held.is_handed_over for held in parts.holdings.held.values()) < jobs:
        parts.run.cycle()
        parts.lease.heartbeat_if_due()
    taken = time.process_time() - began
    cycles = []
    for _ in range(CYCLES):
        time.sleep(CYCLE_S)
        parts.lease.heartbeat_if_due()
        began = time.process_time()
        parts.run.cycle()
        cycles.append(time.process_time() - began)
    parts.close()
    print(json.dumps({"peak": peak_mb(), "taken": taken, "cycle": median(cycles)}))


def row_live(site: Site, kind: str, jobs: int) -> tuple[str, ...]:
    script = site.script("#!/bin/bash\n:\n")
    with site.client() as client:
        for _ in range(jobs):
            client.submit(script, submit_to=site.system, force=True)
    argv = [sys.executable, __file__, "--live", str(jobs)]
    out = subprocess.run(argv, env=site.environment(), capture_output=True, text=True, check=True).stdout
    told = json.loads(out)
    each = f"{1000 * told['taken'] / jobs:.1f} ms"
    return f"{jobs} live jobs, {kind}", f"{told['peak']:.0f} MB", f"{1000 * told['cycle']:.0f} ms", each


def row_idle(site: Site, kind: str, seconds: float) -> tuple[str, ...]:
    site.variables["CLOUDQ_AGENT_DAEMON_INTERVAL"] = "0.5"
    site.script("")
    with site.agent() as agent:
        wait_until(lambda: "acting for" in (site.root / "agent.out").read_text())
        time.sleep(2)
        before = cpu_seconds(agent.pid)
        time.sleep(seconds)
        cpu, peak = cpu_seconds(agent.pid) - before, peak_mb(agent.pid)
    return f"idle, {kind}", f"{peak:.0f} MB", f"{1000 * cpu / (seconds / 0.5):.1f} ms", ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="*", default=[1000], help="live jobs, directory store")
    parser.add_argument("--s3-jobs", type=int, nargs="*", default=[100], help="live jobs, S3 (moto)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to watch an idle agent")
    parser.add_argument("--live", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.live is not None:
        live(chosen.live)
        return
    without_fsync()
    with scratch() as place, moto() as s3:
        rows = []
        for kind, store, sizes in (("directory", {}, chosen.jobs), ("S3", s3, chosen.s3_jobs)):
            rows.append(row_idle(Site(Path(place) / kind, dict(store)), kind, chosen.seconds))
            for jobs in sizes:
                site = Site(Path(place) / f"{kind}-{jobs}", {**store, "CLOUDQ_STORE_PREFIX": f"{jobs}/"})
                rows.append(row_live(site, kind, jobs))
                shutil.rmtree(site.root)
    head = ("agent", "peak memory", "CPU of a cycle", "CPU of taking a job")
    table("Agent (budget: < 60 MB idle, < 120 MB with 10,000 live jobs)", head, rows)


if __name__ == "__main__":
    main()
