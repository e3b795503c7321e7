"""Agents and clients as processes on an S3 service that ignores the conditions of a PUT (protocol 8)."""

from __future__ import annotations

import json
import os
import signal
import uuid
from pathlib import Path

import pytest
from attrs import evolve

from cloudq.domain.jobs.job_state import JobState
from tests.parts.s3_services import BUCKET, S3Service
from tests.parts.site import Site, ended, wait_until

ACCEPTED = {"CLOUDQ_AGENT_ACCEPT_WEAK_STORE": "true"}


@pytest.fixture
def unwilling(weak_moto_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A machine with such a store, which its owner has not accepted."""
    service = weak_moto_service
    for name, value in service.environment().items():
        monkeypatch.setenv(name, value)
    store = {
        "CLOUDQ_STORE_ENDPOINT_URL": service.endpoint_url,
        "CLOUDQ_STORE_BUCKET": BUCKET,
        "CLOUDQ_STORE_PREFIX": str(uuid.uuid4()),
    }
    return Site(tmp_path, service.environment() | store)


@pytest.fixture
def site(unwilling: Site) -> Site:
    """The same machine after its owner accepted the store."""
    return evolve(unwilling, variables=unwilling.variables | ACCEPTED)


def counting_script(site: Site, then: str = "") -> Path:
    """A script that writes a line each time it starts."""
    return site.script(f"#!/bin/bash\necho $$ >> {site.root}/starts\n{then}\n")


def starts(site: Site) -> int:
    file = site.root / "starts"
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_an_agent_that_was_not_told_to_accept_it_refuses_and_says_what_would(unwilling: Site) -> None:
    for words in (("--daemon",), ()):
        refused = unwilling.run("cloudqd", *words)

        assert refused.returncode == 4
        assert "8 succeeded; a rewrite with a wrong ETag was accepted" in refused.stderr
        assert "set [agent] accept_weak_store = true; then late writes" in refused.stderr


def test_a_job_goes_from_submit_to_done(site: Site) -> None:
    script = counting_script(site, "echo hello; echo result > result.txt")
    with site.agent(), site.client() as client:
        wait_until(lambda: site.run("cloudqd", "--status").returncode == 0)
        status = json.loads(site.run("cloudqd", "--status", "--json").stdout)
        job_id = client.submit(script, submit_to="local").job.uuid
        [job] = ended(client, job_id)

        assert status["weak_store"].endswith("a rewrite with a wrong ETag was accepted")
        assert (job.state, job.exit_code, starts(site)) == (JobState.DONE, 0, 1)
        assert b"".join(client.log(job_id)) == b"hello\n"
        assert [entry.job_id for entry in client.history()] == [job_id]
    log = (site.root / "agent.out").read_text()
    assert log.count("which [agent] accept_weak_store allows") == 1
    assert "run agents of this system in this home only" in log


def test_cron_can_run_an_agent_cycle_by_cycle(site: Site) -> None:
    script = counting_script(site)
    assert site.run("cloudqd").returncode == 0
    with site.client() as client:
        job_id = client.submit(script, submit_to="local").job.uuid
        wait_until(lambda: site.run("cloudqd").returncode == 0 and client.job(job_id).is_final)

        assert (client.job(job_id).state, starts(site)) == (JobState.DONE, 1)


def test_a_job_is_canceled_by_its_agent_whether_it_was_taken_or_not(site: Site) -> None:
    """The first is canceled before the agent is back, the second while it runs."""
    assert site.run("cloudqd").returncode == 0  # it has reported and stopped
    script = counting_script(site, "sleep 60")
    with site.client() as client:
        early = client.submit(script, submit_to="local").job.uuid
        asked = site.run("cloudqcli", "cancel", "--id", early)

        assert (asked.returncode, client.job(early).state) == (0, JobState.INIT)
        assert "Its agent was asked to end it" in asked.stderr

        with site.agent():
            [job] = ended(client, early)
            assert (job.state, starts(site)) == (JobState.DELETED, 0)

            running = client.submit(script, submit_to="local").job.uuid
            wait_until(lambda: client.job(running).state is JobState.RUN)
            assert site.cli("cancel", "--id", running, "--wait") == f"Job ({running}) is canceled.\n"
            assert (client.job(running).state, starts(site)) == (JobState.DELETED, 1)


def test_an_agent_that_is_killed_is_followed_by_another_of_its_home(site: Site) -> None:
    script = counting_script(site, "sleep 4; echo hello")
    with site.client() as client:
        with_it = site.start_agent()
        wait_until(lambda: site.run("cloudqd", "--status").returncode == 0)
        job_ids = [client.submit(script, submit_to="local").job.uuid for _ in range(4)]
        wait_until(lambda: starts(site) > 0)
        with_it.kill()
        with_it.wait()
        with site.agent():
            jobs = ended(client, *job_ids)

        assert [job.state for job in jobs] == [JobState.DONE] * 4
        assert starts(site) == 4


def test_one_agent_runs_in_a_home_even_while_it_is_held_up(site: Site) -> None:
    """On other stores a second agent waits for the lease of the first, and takes it after a long silence.

    Here the first one continues where it was when it wakes; only the lock prevents both from acting.
    """
    with site.agent() as first:
        wait_until(lambda: site.run("cloudqd", "--status").returncode == 0)
        os.kill(first.pid, signal.SIGSTOP)
        try:
            for note in (site.home / "run").glob("local@*"):
                note.unlink()  # as if they were on two hosts that share the home
            second, cycle = site.run("cloudqd", "--daemon"), site.run("cloudqd")
        finally:
            os.kill(first.pid, signal.SIGCONT)

    assert second.returncode == 14
    assert "Another agent of local runs in this home, maybe on another host" in second.stderr
    assert cycle.returncode == 0
    assert cycle.stderr.startswith("Nothing was done: Another agent of local runs in this home")


def test_a_job_for_any_system_is_refused_while_there_are_two(site: Site) -> None:
    meta = "#!/bin/bash\n#$ project: p\n#$ resource: r\n#$ n_resource: 1\necho hello\n"
    script = site.script(meta)
    profile = {"CLOUDQ_AGENT_PROFILE": "local"}
    other = evolve(site, root=site.root / "other", system="other", variables=site.variables | profile)
    other.root.mkdir()
    for each in (site, other):
        assert each.run("cloudqd").returncode == 0

    refused = site.run("cloudqcli", "submit", "--script", str(script), "--only", "local,other")
    only_one = site.run(
        "cloudqcli", "submit", "--script", str(script), "--only", "local,other", "--not", "other"
    )

    assert refused.returncode == 2
    assert "a job can be offered to one system only, but this one would go to local, other" in refused.stderr
    assert only_one.returncode == 0, only_one.stderr
