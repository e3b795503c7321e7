"""The Slurm that the other tests run on behaves as a site's Slurm does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from tests.parts.slurm import URGENT_PARTITION, Slurm

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("slurm")]

SLEEPS = "echo ready; sleep 600"


@frozen
class Cluster:
    """The test's Slurm, and the directory of a test's scripts and outputs."""

    slurm: Slurm
    folder: Path

    def submit(self, body: str, *options: str) -> str:
        """Submit a script whose output goes to the file named by its id, and return the id."""
        script = self.folder / "script"
        script.write_text(f"#!/bin/bash\n{body}\n")
        output = (
            "--output=%A_%a" if any(option.startswith("--array") for option in options) else "--output=%j"
        )
        done = self.slurm.run("sbatch", "--parsable", output, *options, str(script), cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def output(self, job_id: str) -> str:
        file = self.folder / job_id
        return file.read_text() if file.exists() else ""

    def wait_until_ready(self, job_id: str) -> None:
        self.slurm.wait_until(f"job {job_id} is ready", lambda: "ready" in self.output(job_id))


@pytest.fixture
def cluster(slurm: Slurm, tmp_path: Path) -> Iterator[Cluster]:
    yield Cluster(slurm, tmp_path)
    slurm.clear()


@pytest.mark.parametrize(("code", "state"), [(0, "COMPLETED"), (3, "FAILED")])
def test_a_script_ends_with_its_exit_code(cluster: Cluster, code: int, state: str) -> None:
    job_id = cluster.submit(f"echo out; echo err >&2; exit {code}")

    shown = cluster.slurm.wait_for_state(job_id, "COMPLETED", "FAILED")

    assert (shown["JobState"], shown["ExitCode"]) == (state, f"{code}:0")
    assert cluster.output(job_id) == "out\nerr\n"


def test_every_task_of_an_array_has_its_own_end(cluster: Cluster) -> None:
    job_id = cluster.submit("echo task $SLURM_ARRAY_TASK_ID; exit $SLURM_ARRAY_TASK_ID", "--array=0-2,5%3")

    for task, code in (("0", "0:0"), ("1", "1:0"), ("2", "2:0"), ("5", "5:0")):
        shown = cluster.slurm.wait_for_state(f"{job_id}_{task}", "COMPLETED", "FAILED")
        assert shown["ExitCode"] == code
        assert cluster.output(f"{job_id}_{task}") == f"task {task}\n"


def test_an_index_that_is_too_high_is_refused(cluster: Cluster) -> None:
    said = cluster.slurm.run("sbatch", f"--array={cluster.slurm.settings.max_array_size}", "--wrap=true")

    assert said.returncode
    assert "Invalid job array specification" in said.stderr


def test_jobs_of_all_nodes_run_at_once(cluster: Cluster) -> None:
    settings = cluster.slurm.settings
    jobs = [cluster.submit(SLEEPS) for _ in range(settings.nodes * settings.cpus)]

    shown = [cluster.slurm.wait_for_state(job_id, "RUNNING") for job_id in jobs]

    assert {job["NodeList"] for job in shown} == set(cluster.slurm.nodes)


def test_a_cancelled_job_gets_term(cluster: Cluster) -> None:
    job_id = cluster.submit("trap 'echo term; exit 7' TERM; echo ready; while :; do sleep 0.1; done")
    cluster.wait_until_ready(job_id)

    cluster.slurm.run("scancel", job_id)

    cluster.slurm.wait_for_state(job_id, "CANCELLED")
    cluster.slurm.wait_until("it has ended", lambda: "term" in cluster.output(job_id))


def test_a_pending_job_is_cancelled_without_running(cluster: Cluster) -> None:
    job_id = cluster.submit(SLEEPS, "--hold")
    cluster.slurm.wait_for_state(job_id, "PENDING")

    cluster.slurm.run("scancel", job_id)

    cluster.slurm.wait_for_state(job_id, "CANCELLED")
    assert not cluster.output(job_id)


def test_a_job_that_ran_out_of_time_is_ended_and_forgotten_later(cluster: Cluster) -> None:
    job_id = cluster.submit(SLEEPS)
    cluster.wait_until_ready(job_id)

    cluster.slurm.let_time_run_out(job_id)

    cluster.slurm.wait_for_state(job_id, "TIMEOUT", longest_s=120)
    assert "DUE TO TIME LIMIT" in cluster.output(job_id)
    cluster.slurm.wait_until("it is forgotten", lambda: not cluster.slurm.show_job(job_id), longest_s=120)


@pytest.mark.parametrize("crash", [False, True])
def test_a_job_runs_and_ends_without_the_controller(cluster: Cluster, crash: bool) -> None:
    job_id = cluster.submit("echo ready; until [ -e go ]; do sleep 0.1; done; echo over; exit 3")
    cluster.wait_until_ready(job_id)
    cluster.slurm.save_state(job_id)

    cluster.slurm.stop_controller(crash=crash)
    assert cluster.slurm.run("squeue").returncode == 1
    (cluster.folder / "go").touch()
    cluster.slurm.wait_until("it has ended", lambda: "over" in cluster.output(job_id))
    cluster.slurm.start_controller()

    assert cluster.slurm.wait_for_state(job_id, "FAILED")["ExitCode"] == "3:0"


def test_a_drained_node_gets_no_job(cluster: Cluster) -> None:
    drained, other = cluster.slurm.nodes
    cluster.slurm.set_node(drained, "drain")
    first = cluster.submit(SLEEPS)
    second = cluster.submit(SLEEPS, f"--nodelist={drained}")

    assert cluster.slurm.wait_for_state(first, "RUNNING")["NodeList"] == other
    assert cluster.slurm.wait_for_state(second, "PENDING")["Reason"]

    cluster.slurm.set_node(drained, "resume")
    assert cluster.slurm.wait_for_state(second, "RUNNING")["NodeList"] == drained


@pytest.mark.parametrize(("option", "state"), [("--no-requeue", "NODE_FAIL"), ("--requeue", "PENDING")])
def test_the_jobs_of_a_node_that_went_down_are_given_up_or_put_back(
    cluster: Cluster, option: str, state: str
) -> None:
    job_id = cluster.submit(SLEEPS, option)
    cluster.wait_until_ready(job_id)

    cluster.slurm.set_node(cluster.slurm.show_job(job_id)["NodeList"], "down")

    cluster.slurm.wait_for_state(job_id, state)


def test_a_job_whose_node_lost_its_power_is_run_again(cluster: Cluster) -> None:
    job_id = cluster.submit("echo run ${SLURM_RESTART_COUNT:-0} >> runs; " + SLEEPS)
    cluster.wait_until_ready(job_id)
    node = cluster.slurm.show_job(job_id)["NodeList"]
    runs = cluster.folder / "runs"

    cluster.slurm.crash_node(node)

    cluster.slurm.wait_until("it runs again", lambda: runs.read_text() == "run 0\nrun 1\n", longest_s=120)
    shown = cluster.slurm.show_job(job_id)
    assert shown["Restarts"] == "1"
    assert shown["NodeList"] != node


def test_an_urgent_job_has_others_put_back(cluster: Cluster) -> None:
    settings = cluster.slurm.settings
    whole = f"--ntasks={settings.nodes * settings.cpus}"
    job_id = cluster.submit(SLEEPS, whole)
    cluster.wait_until_ready(job_id)

    urgent = cluster.submit(SLEEPS, whole, f"--partition={URGENT_PARTITION}")

    cluster.slurm.wait_for_state(urgent, "RUNNING")
    assert cluster.slurm.wait_for_state(job_id, "PENDING")["Restarts"] == "1"


def test_there_is_no_accounting(cluster: Cluster) -> None:
    said = cluster.slurm.run("sacct")

    assert said.returncode == 1
    assert "Slurm accounting storage is disabled" in said.stderr


def test_accounting_remembers_ends(slurm_with_accounting: Slurm, tmp_path: Path) -> None:
    cluster = Cluster(slurm_with_accounting, tmp_path)
    job_id = cluster.submit("exit 3")
    cluster.slurm.wait_for_state(job_id, "FAILED")
    ask = ("sacct", "-n", "-P", "-X", "-j", job_id, "-o", "JobID,State,ExitCode")

    cluster.slurm.wait_until("it is accounted", lambda: "FAILED" in cluster.slurm.run(*ask).stdout)

    assert cluster.slurm.run(*ask).stdout == f"{job_id}|FAILED|3:0\n"
