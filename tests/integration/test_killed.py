"""Agents killed with -9 while real jobs run: one run each, the right end."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from cloudq.client import Client
from cloudq.domain.job_state import JobState
from tests.parts.site import Site, ended, wait_until
from tests.parts.world import text_of

COUNTS_ITS_RUNS = """\
#!/bin/bash
echo "$1 run" >> "{runs}/$(basename "$PWD")"
echo "output of $(basename "$PWD")"
sleep {seconds}
echo done > result.txt
exit {code}
"""


def submit_many(site: Site, client: Client, count: int, runs: Path, longest_s: float = 1.0) -> dict[str, int]:
    """Jobs of one script name that end with 0 or 3; exit codes by id."""
    runs.mkdir()
    expected = {}
    for number in range(count):
        code = 3 if number % 5 == 0 else 0
        body = COUNTS_ITS_RUNS.format(runs=runs, seconds=longest_s * (number % 10) / 10, code=code)
        submitted = client.submit(site.script(body), submit_to=site.system, force=True)
        expected[submitted.job.uuid] = code
    return expected


def check_all(client: Client, expected: dict[str, int], runs: Path) -> None:
    jobs = {job_id: client.job(job_id) for job_id in expected}
    assert {job_id: job.exit_code for job_id, job in jobs.items()} == expected
    assert {job.state for job in jobs.values()} <= {JobState.DONE, JobState.ERROR}
    assert {path.name: len(path.read_text().splitlines()) for path in runs.iterdir()} == dict.fromkeys(
        expected, 1
    )
    for job_id in expected:
        assert text_of(client.log(job_id)) == f"output of {job_id}\n"
        assert jobs[job_id].size_output
    assert sorted(entry.job_id for entry in client.history()) == sorted(expected)
    wait_until(lambda: client.jobs().jobs == ())  # the agents' summary comes every 5 s


def test_a_hundred_jobs_at_once_run_once_each_with_their_own_output(local_site: Site, tmp_path: Path) -> None:
    with local_site.client() as client:
        expected = submit_many(local_site, client, 100, tmp_path / "runs", longest_s=0.2)
        with local_site.agent():
            ended(client, *expected, timeout=120)

        check_all(client, expected, tmp_path / "runs")


def test_jobs_run_once_each_while_their_agent_is_killed_again_and_again(site: Site, tmp_path: Path) -> None:
    with site.client() as client:
        expected = submit_many(site, client, 25, tmp_path / "runs")
        killed = site.agent_killed_again_and_again(
            client, list(expected), seed=1, lives_s=(0.4, 2.5), longest_s=200
        )
        with site.agent():
            ended(client, *expected)

        assert killed >= 3
        check_all(client, expected, tmp_path / "runs")


def test_two_agents_of_one_name_never_act_at_once(local_site: Site, tmp_path: Path) -> None:
    store = {"CLOUDQ_STORE_ENDPOINT_URL": (local_site.home / "store").as_uri()}
    other_login_node = Site(tmp_path / "login2", store)
    other_login_node.root.mkdir()
    with local_site.client() as client, local_site.agent():
        expected = submit_many(local_site, client, 20, tmp_path / "runs")
        with other_login_node.agent():
            ended(client, *expected)

            check_all(client, expected, tmp_path / "runs")


def test_a_paused_agent_that_wakes_after_its_successor_took_over_does_no_harm(
    local_site: Site, tmp_path: Path
) -> None:
    with local_site.client() as client:
        expected = submit_many(local_site, client, 10, tmp_path / "runs")
        paused = local_site.start_agent()
        try:
            client.wait(next(iter(expected)), poll=0.1, timeout=60)
            paused.send_signal(signal.SIGSTOP)
            forget_the_lease(local_site)
            with local_site.agent():
                ended(client, *expected)
                paused.send_signal(signal.SIGCONT)
                later = submit_one(local_site, client)
                ended(client, later)
        finally:
            paused.kill()
            paused.wait()

        check_all(client, expected | {later: 0}, tmp_path / "runs")


def submit_one(site: Site, client: Client) -> str:
    body = COUNTS_ITS_RUNS.format(runs=site.root / "runs", seconds=0.1, code=0)
    return client.submit(site.script(body), submit_to=site.system).job.uuid


def forget_the_lease(site: Site) -> None:
    """As if the paused one were on another login node, and silent for a whole time to live."""
    for noted in (site.home / "run").iterdir():
        noted.unlink()
    for lease in (site.home / "store" / "systems" / site.system / "lease").iterdir():
        record = json.loads(lease.read_text())
        lease.write_text(json.dumps(record | {"released": True}))
