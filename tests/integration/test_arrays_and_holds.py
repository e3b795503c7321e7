"""Single tasks of meta jobs on real clusters, and jobs that wait for jobs of another system."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudq.client import Client
from cloudq.domain.jobs.job_state import JobState
from tests.parts.grid_engine import GridEngine
from tests.parts.site import Site, ended, wait_until
from tests.parts.slurm import Slurm
from tests.parts.three_systems import HEAD, three_sites, wait_for_reports

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(300)]

TASKS = """\
echo "out $ARY_TASK_ID"
echo "err $ARY_TASK_ID" >&2
case $ARY_TASK_ID in
1 | 4) exit 0 ;;
3) exit 3 ;;
*) exec sleep 300 ;;
esac
"""
"""Six tasks, two at a time: the second and the fifth run until they are canceled, the sixth waits."""


@pytest.fixture
def sites(slurm: Slurm, grid_engine: GridEngine, tmp_path: Path) -> Iterator[dict[str, Site]]:
    yield three_sites(tmp_path, slurm, grid_engine)
    slurm.clear()
    grid_engine.clear()


def submit(client: Client, site: Site, body: str, **options: str) -> str:
    script = site.script(HEAD + body)
    return client.submit(script, submit_to=site.system, **options).job.uuid  # type: ignore[arg-type]


@pytest.mark.parametrize("system", ["slurm", "gridengine"])
def test_single_tasks_are_canceled_and_each_has_logs_of_its_own(sites: dict[str, Site], system: str) -> None:
    site = sites[system]
    with site.client() as client, site.agent():
        wait_for_reports(client, system)
        job_id = submit(client, site, TASKS, array_tid="1-6%2")
        for task in (2, 5):
            wait_until(lambda task=task: log(site, job_id, task) == f"out {task}\n", 90)  # type: ignore[misc]
        for task in (6, 2, 5):
            site.cli("cancel", "--id", job_id, "--tid", str(task))
        [job] = ended(client, job_id)
        printed = [log(site, job_id, task) for task in range(1, 6)]
        told = [log(site, job_id, task, "--error") for task in range(1, 6)]

    assert {task: job.state_of_task(task).value for task in range(1, 7)} == {
        1: "DONE", 2: "DELETED", 3: "ERROR", 4: "DONE", 5: "DELETED", 6: "DELETED",
    }  # fmt: skip
    assert (job.state, job.exit_code) == (JobState.ERROR, 3)
    assert printed == [f"out {task}\n" for task in range(1, 6)]
    assert [text.splitlines()[0] for text in told] == [f"err {task}" for task in range(1, 6)]


def log(site: Site, job_id: str, task: int, *options: str) -> str:
    return site.cli("log", "--id", job_id, "--tid", str(task), *options)


def test_a_job_waits_for_jobs_of_another_system(sites: dict[str, Site]) -> None:
    here, cluster = sites["local"], sites["slurm"]
    with here.client() as client, here.agent(), cluster.agent():
        wait_for_reports(client, "local", "slurm")
        good = submit(client, cluster, "sleep 3\n")
        bad = submit(client, here, "sleep 2; exit 3\n")
        after_both = submit(client, here, "true\n", hold_jid=f"{good},{bad}")
        after_bad = submit(client, cluster, "true\n", hold_jid=bad)
        if_good = submit(client, here, "true\n", hold_ok_jid=good)
        if_both = submit(client, cluster, "true\n", hold_ok_jid=f"{good},{bad}")
        if_bad = submit(client, here, "true\n", hold_ok_jid=bad)
        jobs = {
            job.uuid: job for job in ended(client, good, bad, after_both, after_bad, if_good, if_both, if_bad)
        }

    ends = {job_id: job.state.value for job_id, job in jobs.items()}
    assert ends == {
        good: "DONE", bad: "ERROR", after_both: "DONE", after_bad: "DONE", if_good: "DONE",
        if_both: "DELETED", if_bad: "DELETED",
    }  # fmt: skip
    for later, earlier in ((after_both, good), (after_both, bad), (after_bad, bad), (if_good, good)):
        started, finished = jobs[later].time_start, jobs[earlier].time_finish
        assert started is not None
        assert finished is not None
        assert started >= finished
    for job_id in (if_both, if_bad):
        assert jobs[job_id].time_start is None
        assert bad in jobs[job_id].error_msg
