"""Agents killed or delayed at the worst moments on a real Slurm: one run per script, right final states."""

from __future__ import annotations

import signal
import time
from itertools import count
from pathlib import Path

import pytest

from cloudq.client import Client
from cloudq.domain.jobs.job_shell import NOT_ITS_TURN
from cloudq.domain.jobs.job_state import JobState
from tests.parts.counted_runs import check_all, submit_counted
from tests.parts.doomed_agent import FORK, Doom, DoomedAgent
from tests.parts.held_up_sbatch import HANGS, LATE, HeldUpSbatch
from tests.parts.site import Site, ended, wait_until
from tests.parts.slurm import Slurm
from tests.parts.slurm_site import live_jobs, ready, running, scheduler_job_ids, set_times

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(1800)]


def be_on_another_login_node(site: Site) -> None:
    """Pretend that the holder is on another host: agents on one host recognize each other's processes."""
    for noted in (site.home / "run").iterdir():
        noted.unlink()


def note(client: Client, job_id: str) -> str:
    """Return the reason that the agent gives for an unfinished job to wait."""
    return next((each.note for each in client.jobs().jobs if each.job_id == job_id), "")


def test_a_job_runs_once_at_whatever_step_of_the_hand_over_its_agent_is_killed(
    slurm_site: Site, tmp_path: Path
) -> None:
    site, runs, expected = slurm_site, tmp_path / "runs", {}
    runs.mkdir()
    steps: list[str] = []
    with site.client() as client:
        for number in count():
            code = 3 if number % 5 == 0 else 0
            job_id = submit_counted(site, client, runs, seconds=0.5, code=code)
            expected[job_id] = code
            agent = DoomedAgent(site, Doom(job_id, number))
            steps.append(agent.step())
            agent.wait_until_killed()
            if client.job(job_id).time_ready is not None:
                break
        with site.agent():
            ended(client, *expected, timeout=120)

            check_all(client, expected, runs)

    # From the claim to the record with the state READY.
    assert {"http.client.send", "os.mkdir", "os.link", "os.rename", FORK, "after the fork"} <= set(steps)
    assert steps[0] == "http.client.send", steps


def test_an_sbatch_that_hangs_while_its_agent_is_killed_and_succeeds_later_adds_no_run(
    slurm_site: Site, slurm: Slurm, tmp_path: Path
) -> None:
    site, runs = slurm_site, tmp_path / "runs"
    runs.mkdir()
    set_times(site, poll_interval=1, submit_wait=1, submit_limit=15)
    sbatch = HeldUpSbatch(site)
    with site.client() as client:
        ways = {"no agent": HANGS, "its successor": HANGS, "its successor's submission": LATE}
        ids = {during: submit_counted(site, client, runs, seconds=4) for during in ways}
        for during, how in ways.items():
            sbatch.hold_up(ids[during], how)
        killed = site.start_agent()
        sbatch.wait_until_met(*ids.values())
        killed.kill()
        killed.wait()
        sbatch.let_go(ids["no agent"])
        wait_until(lambda: bool(scheduler_job_ids(slurm, ids["no agent"])))
        soon_forgotten = scheduler_job_ids(slurm, ids["no agent"])
        try:
            with site.agent():
                wait_until(lambda: "still running" in note(client, ids["its successor"]))
                sbatch.let_go(ids["its successor"])
                own = running(client, ids["its successor's submission"])
                sbatch.let_go(ids["its successor's submission"])
                ended(client, *ids.values())
                slurm.wait_until(
                    "all have ended", lambda: not any(live_jobs(slurm, each) for each in ids.values())
                )
                check_all(client, dict.fromkeys(ids.values(), 0), runs)
        finally:
            sbatch.let_go(*ids.values())

    submitted = {during: scheduler_job_ids(slurm, job_id) for during, job_id in ids.items()}
    submitted["no agent"] |= soon_forgotten
    assert [len(found) for found in submitted.values()] == [1, 1, 2]
    [late] = submitted["its successor's submission"] - {own}
    assert slurm.show_job(late)["ExitCode"] == f"{NOT_ITS_TURN}:0"


def test_hanging_sbatch_holds_up_no_other_job_and_no_cancel(
    slurm_site: Site, slurm: Slurm, tmp_path: Path
) -> None:
    site, runs = slurm_site, tmp_path / "runs"
    runs.mkdir()
    set_times(site, poll_interval=1, submit_wait=60, submit_limit=90)
    sbatch = HeldUpSbatch(site)
    with site.client() as client, site.agent():
        runs_on = submit_counted(site, client, runs, seconds=600)
        running(client, runs_on)
        hangs = submit_counted(site, client, runs, seconds=4)
        sbatch.hold_up(hangs, HANGS)
        try:
            sbatch.wait_until_met(hangs)
            other = submit_counted(site, client, runs, seconds=4)
            ready(client, other)
            began = time.monotonic()
            for job_id in (runs_on, hangs):
                client.cancel(job_id)
            canceled = ended(client, runs_on, hangs)
            took_s = time.monotonic() - began
        finally:
            sbatch.let_go(hangs)
        ended(client, other)
        wait_until(lambda: bool(scheduler_job_ids(slurm, hangs)))
        slurm.wait_until("nothing lives", lambda: not live_jobs(slurm, hangs))

    assert [job.state for job in canceled] == [JobState.DELETED, JobState.DELETED]
    assert took_s < 10
    assert not any(hangs in path.name for path in runs.iterdir())


@pytest.mark.parametrize("first", ["the successor's", "the late one"])
def test_an_agent_that_was_stopped_before_it_submitted_and_wakes_after_its_successor_did_adds_no_run(
    slurm_site: Site, slurm: Slurm, tmp_path: Path, first: str
) -> None:
    site, runs = slurm_site, tmp_path / "runs"
    runs.mkdir()
    set_times(site, poll_interval=1, submit_wait=1, submit_limit=2)
    with site.client() as client:
        job_id = submit_counted(site, client, runs, seconds=4, submit_opt="--hold")
        stopped = DoomedAgent(site, Doom(job_id, FORK, signal.SIGSTOP), time_to_live_s=12)
        assert stopped.step() == FORK
        stopped.wait_until_stopped()
        be_on_another_login_node(site)
        successor = DoomedAgent(site, Doom(job_id), time_to_live_s=12)
        try:
            own = ready(client, job_id)
            stopped.resume()
            wait_until(lambda: len(scheduler_job_ids(slurm, job_id)) == 2)
            [late] = scheduler_job_ids(slurm, job_id) - {own}
            starts = own if first == "the successor's" else late
            slurm.run("scontrol", "release", starts)
            slurm.wait_for_state(starts, "RUNNING")
            slurm.run("scontrol", "release", own, late)
            [job] = ended(client, job_id)
            slurm.wait_until("both have ended", lambda: live_jobs(slurm, job_id) == set())
            check_all(client, {job_id: 0}, runs)
        finally:
            stopped.kill()
            successor.kill()

    assert job.jobid == starts
    assert [change.state.value for change in job.changes][-2:] == ["RUN", "DONE"]
