"""Forty jobs while agents are suspended, copied, or share a home: every script once, nothing overwritten."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from cloudq.client import Client
from tests.parts.counted_runs import check_all, submit_many
from tests.parts.site import Site, ended, wait_until
from tests.parts.two_hosts import HostedAgent, overlap_s

JOBS = 40
TIME_TO_LIVE_S = 6.0


@contextmanager
def ended_at_last(*agents: HostedAgent) -> Iterator[None]:
    try:
        yield
    finally:
        for agent in agents:
            agent.end()


def started(runs: Path, at_least: int) -> None:
    wait_until(lambda: len(list(runs.iterdir())) >= at_least)


def all_once(site: Site, client: Client, expected: dict[str, int], runs: Path) -> None:
    """Check all jobs with one more agent, because the suspended ones may have left work behind."""
    with site.agent():
        check_all(client, expected, runs)


def tell_overlap(capsys: pytest.CaptureFixture[str], what: str, seconds: float) -> None:
    with capsys.disabled():
        sys.stderr.write(f"\n{what}: both agents might act for {seconds:.3f} s\n")


def test_an_agent_that_is_suspended_with_its_clocks_acts_no_more_beside_its_successor(
    local_site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    with local_site.client() as client:
        expected = submit_many(local_site, client, JOBS, runs)
        first = HostedAgent(local_site, "login1", TIME_TO_LIVE_S)
        started(runs, 4)
        first.suspend()
        second = HostedAgent(local_site, "login2", TIME_TO_LIVE_S)
        with ended_at_last(first, second):
            wait_until(lambda: bool(second.acted()))
            first.resume()
            ended(client, *expected)
            overlap = overlap_s(first, second)
        tell_overlap(capsys, "suspended with its clocks", overlap)

        assert overlap < 3.0
        all_once(local_site, client, expected, runs)


def read_lease(site: Site) -> dict[str, Any]:
    lease = site.home / "store" / "systems" / site.system / "lease.json"
    record: dict[str, Any] = json.loads(lease.read_text())
    return record


def read_notes(site: Site) -> str:
    return "".join(notes.read_text() for notes in (site.home / "lease").glob("*/notes"))


@pytest.mark.parametrize("knows_its_place", [True, False], ids=["a copied directory", "a cloned disk"])
def test_a_copied_home_starts_nothing_until_a_person_has_decided(
    local_site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], knows_its_place: bool
) -> None:
    runs = tmp_path / "runs"
    store = {"CLOUDQ_STORE_ENDPOINT_URL": (local_site.home / "store").as_uri()}
    clone = Site(tmp_path / "clone", store)
    clone.root.mkdir()
    local_site.variables |= store
    with local_site.client() as client:
        expected = submit_many(local_site, client, JOBS, runs)
        original = HostedAgent(local_site, "login1", TIME_TO_LIVE_S)
        started(runs, 4)
        original.suspend()
        with suppress(shutil.Error):  # jobs end while the files are copied
            shutil.copytree(local_site.home, clone.home, ignore=shutil.ignore_patterns("store"))
        original.resume()
        if not knows_its_place:  # as if disk and machine were the same
            (clone.home / "place").unlink()
        noted = read_notes(clone)
        wait_until(lambda: read_lease(local_site)["nonce"] not in noted)  # the original sent a heartbeat
        original.suspend()
        copy = HostedAgent(clone, "login1", TIME_TO_LIVE_S)
        with ended_at_last(original, copy):
            wait_until(lambda: bool(copy.acted()))
            wait_until(lambda: "no job is started" in local_site.cli("agents", "--long"))
            original.resume()
            wait_until(lambda: "no job is started" in clone.run("cloudqd", "--status").stdout)
            overlap = overlap_s(original, copy)
        tell_overlap(capsys, "copied home", overlap)

        assert overlap < 3.0
        told = (clone.root / "agent-login1.out").read_text()
        assert "acting for" in told
        assert "job handed over" not in told
        assert local_site.run("cloudqd", "--confirm").returncode == 0
        survivor = HostedAgent(local_site, "login1", TIME_TO_LIVE_S)
        with ended_at_last(survivor):
            ended(client, *expected)
        all_once(local_site, client, expected, runs)


CHECKS_ITS_INPUT = """\
#!/bin/bash
id=$(basename "$PWD")
echo "$1 run" >> "{runs}/$id"
echo "output of $id"
before=$(stat -c %i-%Y input.txt)$(cat input.txt)
sleep 0.3
[ "$before" = "$(stat -c %i-%Y input.txt)$(cat input.txt)" ] || exit 7
echo changed >> input.txt
"""


def test_one_home_on_two_hosts_starts_every_script_once_and_rewrites_no_input(
    local_site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    given = tmp_path / "input.txt"
    given.write_text("what the script needs\n")
    script = local_site.script(CHECKS_ITS_INPUT.format(runs=runs))
    with local_site.client() as client:
        submitted = [
            client.submit(script, submit_to=local_site.system, inputs=[given], force=True)
            for _ in range(JOBS)
        ]
        expected = {each.job.uuid: 0 for each in submitted}
        first = HostedAgent(local_site, "login1", TIME_TO_LIVE_S)
        wait_until(lambda: bool(first.acted()))
        second = HostedAgent(local_site, "login2", TIME_TO_LIVE_S)
        with ended_at_last(first, second):
            started(runs, 4)
            for acting, waiting in ((first, second), (second, first)):
                seen = len(waiting.acted())
                acting.suspend()
                wait_until(lambda waiting=waiting, seen=seen: len(waiting.acted()) > seen)  # type: ignore[misc]
                acting.resume()
            ended(client, *expected)
            overlap = overlap_s(first, second)
        tell_overlap(capsys, "one home on two hosts", overlap)

        assert overlap < 6.0
        all_once(local_site, client, expected, runs)
