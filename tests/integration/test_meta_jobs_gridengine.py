"""The same meta jobscript on a real Grid Engine and on this machine: one script, the same results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudq.domain.jobs.job_state import JobState
from tests.parts.grid_engine import GridEngine
from tests.parts.site import Site, ended, wait_until
from tests.parts.world import text_of

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("gridengine"), pytest.mark.timeout(300)]

SCRIPT = """\
#!/bin/bash
#$ project: imaging
#$ resource: small
#$ n_resource: 1
#$ walltime: 5m
echo "task ${ARY_TASK_ID-none} of ${ARY_TASK_FIRST-}-${ARY_TASK_LAST-}:${ARY_TASK_STEPSIZE-}"
echo "$SYSTEM" > "system${ARY_TASK_ID-}.txt"
"""
NAMES = '[resources.small]\ncell = "-pe smp {n}"\nlocal = "cpu"\n'


@pytest.fixture
def sites(grid_engine: GridEngine, tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    """A login node of the cell and a workstation, which share one store."""
    tmp_path.mkdir(exist_ok=True)
    store = {"CLOUDQ_STORE_ENDPOINT_URL": f"file://{tmp_path}/store"}
    profile = {"CLOUDQ_AGENT_PROFILE": "gridengine"}
    cell = Site(tmp_path / "cell", grid_engine.environment() | store | profile, "cell")
    workstation = Site(tmp_path / "workstation", store)
    for site in (cell, workstation):
        (site.home / "systems").mkdir(parents=True, mode=0o700)
        (site.home / "config.toml").write_text(NAMES)
    (cell.home / "systems" / "gridengine.toml").write_text("poll_interval = 1\n")
    yield cell, workstation
    grid_engine.clear()


def test_one_script_gives_the_same_on_both_systems(sites: tuple[Site, Site], tmp_path: Path) -> None:
    cell, workstation = sites
    script = cell.script(SCRIPT, "mjob.sh")
    again = cell.script(SCRIPT + "exit 99\n", "again.sh")
    with cell.client() as client, cell.agent(), workstation.agent():
        wait_until(lambda: set(client._parts.list_agents.registry.systems()) == {"cell", "local"})
        free = client.submit(script)
        pinned = [client.submit(script, submit_to=system) for system in ("cell", "local")]
        arrays = [client.submit(script, submit_to=system, array_tid="1-3:2") for system in ("cell", "local")]
        reserved = client.submit(again, submit_to="cell")
        ids = [each.job.uuid for each in (free, *pinned, *arrays, reserved)]
        *jobs, last = ended(client, *ids, timeout=150)
        printed = [text_of(client.log(job.uuid)) for job in jobs[:3]]
        tasks = [[text_of(client.log(job.uuid, tid=task)) for task in (1, 3)] for job in jobs[3:]]
        files = [
            (client.stage_out(job.uuid, tmp_path / "results") / "output" / "system.txt").read_text().strip()
            for job in jobs[:3]
        ]
        once = text_of(client.log(last.uuid))

    assert [job.state for job in jobs] == [JobState.DONE] * 5, [job.error_msg for job in jobs]
    assert printed == ["task none of -:\n"] * 3
    assert tasks == [["task 1 of 1-3:2\n", "task 3 of 1-3:2\n"]] * 2
    assert files == [jobs[0].run_system, "cell", "local"]
    assert jobs[1].submit_opt_local == "-A imaging -pe smp 1 -l h_rt=0:05:00"
    assert (last.state, last.exit_code, once) == (JobState.ERROR, 99, "task none of -:\n")
