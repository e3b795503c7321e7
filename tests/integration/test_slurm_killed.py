"""Agents killed, or held up, at the worst moments on a real Slurm: every script once, every end right."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from tests.parts.counted_runs import check_all, submit_counted
from tests.parts.doomed_agent import FORK, Doom, DoomedAgent
from tests.parts.site import Site, ended

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(600)]


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

    # From the claim on to the record that says READY.
    assert {"http.client.send", "os.mkdir", "os.link", "os.rename", FORK, "after the fork"} <= set(steps)
    assert (steps[0], steps[-1]) == ("http.client.send", "http.client.send"), steps
