"""Real agents that are killed, and whose jobs are moved to other systems or ended without them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from cloudq.client import Client
from cloudq.domain.jobs.job_state import JobState
from tests.parts.site import Site, ended, wait_until

SCRIPT = """#!/bin/bash
echo "$$" >> {runs}
[ -e {go_on} ] || exec sleep 600
echo "ran on {name}"
"""


def held_by_a_killed_agent(site: Site, client: Client) -> tuple[str, list[Path]]:
    """Return a job that runs on the site, whose agent was killed, and the files that its script reads."""
    runs, go_on = site.root / "runs", site.root / "go_on"
    script = site.script(SCRIPT.format(runs=runs, go_on=go_on, name="$(cat {})".format(site.root / "name")))
    agent = site.start_agent()
    try:
        job = client.submit(script, submit_to=site.system).job
        wait_until(lambda: client.job(job.uuid).state is JobState.RUN and runs.exists())
        wait_until(lambda: json.loads(site.cli("agents", "--json"))["agents"][0]["jobs_held"] == 1)
    finally:
        agent.kill()
        agent.wait()
    return job.uuid, [runs, go_on]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def another_system(site: Site) -> Site:
    """A second machine with the same store."""
    store = {"CLOUDQ_STORE_ENDPOINT_URL": (site.home / "store").as_uri()} | site.variables
    other = Site(site.root / "other", store, system="other")
    other.root.mkdir()
    return other


def queue_of(client: Client) -> list[str]:
    """Return every key below the queues."""
    store = client._parts.take_back.jobs.store  # type: ignore[attr-defined]
    return [listed.key for listed in store.list_page("queue/").objects]


def test_a_job_of_a_killed_agent_runs_on_another_system_and_ends_on_the_first(site: Site) -> None:
    other = another_system(site)
    with site.client() as client:
        job_id, (runs, go_on) = held_by_a_killed_agent(site, client)
        first = int(runs.read_text())
        go_on.touch()
        with other.agent():
            refused = site.run("cloudqcli", "requeue", "--id", job_id, "--to", "other", "--claim", "1")
            told = site.cli("requeue", "--id", job_id, "--to", "other", "--claim", "1", "--force")
            [job] = ended(client, job_id)

        assert (refused.returncode, "reported recently" in refused.stderr) == (7, True)
        assert told == f"Job ({job_id}) is taken back from local and offered to other.\n"
        assert (job.state, job.run_system, job.claim) == (JobState.DONE, "other", 3)
        assert is_alive(first)

        with site.agent():
            wait_until(lambda: not is_alive(first))
            wait_until(lambda: queue_of(client) == [])

        assert client.job(job_id) == job
        assert [entry.job_id for entry in client.history()] == [job_id]
        assert len(runs.read_text().splitlines()) == 2


def test_a_job_of_a_killed_agent_is_ended_without_it(site: Site) -> None:
    with site.client() as client:
        job_id, (runs, _) = held_by_a_killed_agent(site, client)
        first = int(runs.read_text())
        asked = site.run("cloudqcli", "cancel", "--id", job_id, "--force")
        done = site.cli("cancel", "--id", job_id, "--force", "--claim", "1")
        job = client.job(job_id)

        assert (asked.returncode, "add --claim 1" in asked.stderr) == (2, True)
        assert done == f"Job ({job_id}) is canceled.\n"
        assert job.state is JobState.DELETED
        assert is_alive(first)

        with site.agent():
            wait_until(lambda: not is_alive(first))
            wait_until(lambda: queue_of(client) == [])

        assert client.job(job_id) == job
        assert [entry.job_id for entry in client.history()] == [job_id]
        assert len(runs.read_text().splitlines()) == 1


def test_an_agent_that_was_silent_for_long_is_taken_from_without_force(local_site: Site) -> None:
    with local_site.client() as client:
        job_id, (runs, go_on) = held_by_a_killed_agent(local_site, client)
        first = int(runs.read_text())
        go_on.touch()
        lease = local_site.home / "store" / "systems" / "local" / "lease.json"
        os.utime(lease, (time.time() - 1_900,) * 2)
        [agent] = json.loads(local_site.cli("agents", "--json"))["agents"]
        local_site.cli("requeue", "--id", job_id, "--claim", "1")
        with local_site.agent():
            [job] = ended(client, job_id)
            wait_until(lambda: not is_alive(first))
            wait_until(lambda: queue_of(client) == [])

        assert (agent["system"], agent["state"], agent["jobs_held"]) == ("local", "away", 1)
        assert (job.state, job.claim, job.workdir.endswith(f"{job_id}.3")) == (JobState.DONE, 3, True)
        assert len(runs.read_text().splitlines()) == 2


@pytest.mark.parametrize("times", [1, 2])
def test_an_unclaimed_job_goes_to_the_system_that_is_there(local_site: Site, times: int) -> None:
    with local_site.client() as client:
        script = local_site.script("#!/bin/bash\necho hello\n")
        with local_site.agent():
            job_id = client.submit(script, submit_to="gone", force=True).job.uuid
            for _ in range(times):
                local_site.run("cloudqcli", "requeue", "--id", job_id, "--to", "local")
            [job] = ended(client, job_id)

        assert (job.state, job.run_system, job.claim) == (JobState.DONE, "local", 2)
        assert queue_of(client) == []
