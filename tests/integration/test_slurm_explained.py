"""`explain` for jobs of a real Slurm: its reason for a job that waits, and the end of one that failed."""

from __future__ import annotations

import pytest

from tests.parts.site import Site, ended, wait_until
from tests.parts.slurm_site import BASH, ready, submit

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(300)]


def test_reason_of_slurm_and_the_end_of_a_job_are_explained(slurm_site: Site) -> None:
    with slurm_site.client() as client, slurm_site.agent():
        held = submit(client, slurm_site, BASH, submit_opt="--hold")
        killed = submit(client, slurm_site, BASH + "echo 'last words' >&2\nkill -KILL $$\n")
        refused = submit(client, slurm_site, BASH, submit_opt="-p nowhere")
        ready(client, held)
        ended(client, killed, refused, timeout=120)
        wait_until(lambda: "JobHeldUser" in slurm_site.cli("explain", held), 30)
        screens = {job_id: slurm_site.cli("explain", job_id) for job_id in (held, killed, refused)}
        client.cancel(held)
        ended(client, held, timeout=120)

    assert "  - it waits in the queue of cluster: JobHeldUser\n" in screens[held]
    assert "  - its script ended with exit code 137: out of memory or killed (SIGKILL)\n" in screens[killed]
    assert "Last lines of stderr:\n  | last words\n" in screens[killed]
    assert "invalid partition specified: nowhere" in screens[refused]
    assert "exit code" not in screens[refused]
