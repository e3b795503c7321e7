"""The same meta jobscript on a real Slurm and on this machine: one script, the same results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudq.domain.jobs.job_state import JobState
from tests.parts.site import Site, ended, wait_until
from tests.parts.slurm import Slurm
from tests.parts.world import text_of

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(300)]

SCRIPT = """\
#!/bin/bash
#$ project: imaging
#$ resource: small
#$ n_resource: 1
#$ walltime: 5m
echo "task ${ARY_TASK_ID-none} of ${ARY_TASK_FIRST-}-${ARY_TASK_LAST-}:${ARY_TASK_STEPSIZE-}"
echo "$SYSTEM" > "system${ARY_TASK_ID-}.txt"
"""
NAMES = '[resources.small]\ncluster = "--partition=main --ntasks={n}"\nlocal = "cpu"\n'


@pytest.fixture
def sites(slurm: Slurm, tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    """A login node of the cluster and a workstation, which share one store."""
    tmp_path.mkdir(exist_ok=True)
    store = {"CLOUDQ_STORE_ENDPOINT_URL": f"file://{tmp_path}/store"}
    cluster = Site(
        tmp_path / "cluster", slurm.environment() | store | {"CLOUDQ_AGENT_PROFILE": "slurm"}, "cluster"
    )
    workstation = Site(tmp_path / "workstation", store)
    for site in (cluster, workstation):
        (site.home / "systems").mkdir(parents=True, mode=0o700)
        (site.home / "config.toml").write_text(NAMES)
    (cluster.home / "systems" / "slurm.toml").write_text(
        'poll_interval = 1\n[options]\nproject = "--comment={project}"\n'
    )
    yield cluster, workstation
    slurm.clear()


def test_one_script_gives_the_same_on_both_systems(sites: tuple[Site, Site], tmp_path: Path) -> None:
    cluster, workstation = sites
    script = cluster.script(SCRIPT, "mjob.sh")
    with cluster.client() as client, cluster.agent(), workstation.agent():
        registry = client._parts.list_agents.registry
        wait_until(lambda: set(registry.systems()) == {"cluster", "local"})
        free = client.submit(script)
        pinned = [client.submit(script, submit_to=system) for system in ("cluster", "local")]
        arrays = [
            client.submit(script, submit_to=system, array_tid="1-3:2") for system in ("cluster", "local")
        ]
        jobs = ended(client, *(each.job.uuid for each in (free, *pinned, *arrays)), timeout=150)
        printed = [text_of(client.log(job.uuid)) for job in jobs[:3]]
        tasks = [[text_of(client.log(job.uuid, tid=task)) for task in (1, 3)] for job in jobs[3:]]
        files = [
            (client.stage_out(job.uuid, tmp_path / "results") / "output" / "system.txt").read_text().strip()
            for job in jobs[:3]
        ]

    assert free.warnings == ("Offered to cluster, local.",)
    assert [job.state for job in jobs] == [JobState.DONE] * 5, [job.error_msg for job in jobs]
    assert printed == ["task none of -:\n"] * 3
    assert tasks == [["task 1 of 1-3:2\n", "task 3 of 1-3:2\n"]] * 2
    assert files == [jobs[0].run_system, "cluster", "local"]
    assert jobs[1].submit_opt_local == "--comment=imaging --partition=main --ntasks=1 --time=0:05:00"
    assert jobs[2].submit_opt_local == "--slots=1 --time=0:05:00"
