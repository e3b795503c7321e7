"""Agents killed with -9 while real jobs run: each job runs once and gets the right final state."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

from tests.parts.counted_runs import check_all, submit_counted, submit_many
from tests.parts.site import Site, ended, wait_until


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
            pause_between_writes(paused)
            forget_the_lease(local_site)
            with local_site.agent():
                ended(client, *expected)
                paused.send_signal(signal.SIGCONT)
                later = submit_counted(local_site, client, tmp_path / "runs")
                ended(client, later)
        finally:
            paused.kill()
            paused.wait()

        # Either may have ended the last job without the other noticing; the next agent cleans up.
        with local_site.agent():
            check_all(client, expected | {later: 0}, tmp_path / "runs")


def pause_between_writes(agent: subprocess.Popen[bytes]) -> None:
    """Stop the agent between writes: a directory store, unlike others, has locks that would block writers."""
    while True:
        agent.send_signal(signal.SIGSTOP)
        wait_until(lambda: Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        if not any(str(agent.pid) in line.split() for line in Path("/proc/locks").read_text().splitlines()):
            return
        agent.send_signal(signal.SIGCONT)
        time.sleep(0.01)


def forget_the_lease(site: Site) -> None:
    """Pretend that the paused agent is on another login node and has been silent for a whole time to live."""
    for noted in (site.home / "run").iterdir():
        noted.unlink()
    lease = site.home / "store" / "systems" / site.system / "lease.json"
    lease.write_text(json.dumps(json.loads(lease.read_text()) | {"released": True}))
