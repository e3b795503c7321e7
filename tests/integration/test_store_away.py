"""The store is unreachable for longer than the time to live, while jobs run, end, and are queried."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from attrs import evolve, frozen

from cloudq.bootstrap.own_agent import status_report
from cloudq.client import Client
from cloudq.config import load_config
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.lease import TIME_TO_LIVE_S
from tests.parts import slurm_site
from tests.parts.counted_runs import check_all
from tests.parts.doomed_agent import Doom, DoomedAgent
from tests.parts.faulty_proxy import FaultyProxy, faulty_way_to
from tests.parts.s3_services import BUCKET, S3Service
from tests.parts.site import Site, ended, wait_until
from tests.parts.slurm_site import running

pytestmark = [pytest.mark.timeout(1800)]

AWAY_S = float(os.environ.get("STORE_AWAY", "20"))
"""``STORE_AWAY=300`` lets a lease with the real time to live lapse; a short time comes with a short lease."""
TIME_TO_LIVE = None if AWAY_S > TIME_TO_LIVE_S else 12.0

log = logging.getLogger(__name__)

WAITS = """\
#!/bin/bash
id=$(basename "$PWD")
echo run >> "{root}/runs/$id"
echo "output of $id"
until [ -e "{root}/go.$id" ]; do sleep 0.1; done
echo done > result.txt
exit 3
"""


@frozen
class Rig:
    """A site whose connection to the store can be closed, and the same site on one that cannot."""

    site: Site
    steady: Site
    way: FaultyProxy

    @property
    def runs(self) -> Path:
        return self.site.root / "runs"

    def submit(self, client: Client) -> str:
        script = self.site.script(WAITS.format(root=self.site.root))
        return client.submit(script, submit_to=self.site.system, force=True).job.uuid

    def let_go(self, job_id: str) -> None:
        """Let a job end."""
        (self.site.root / f"go.{job_id}").touch()

    def epoch(self) -> int:
        seen = status_report(load_config(self.steady.environment()))().seen
        assert seen is not None
        return seen.lease.epoch

    def warnings(self) -> list[str]:
        """Return the warnings of the agent, without their times."""
        lines = (self.site.root / "agent.out").read_text().splitlines()
        return [line.partition("[")[2] for line in lines if "[warning" in line]


@pytest.fixture(
    params=["local", pytest.param("slurm", marks=[pytest.mark.real, pytest.mark.xdist_group("slurm")])]
)
def rig(
    request: pytest.FixtureRequest, moto_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rig]:
    for name, value in moto_service.environment().items():  # for the client in the test process
        monkeypatch.setenv(name, value)
    (tmp_path / "runs").mkdir()
    direct = {"CLOUDQ_STORE_ENDPOINT_URL": moto_service.endpoint_url}
    with faulty_way_to(moto_service, 0.0, 0) as way:
        if request.param == "slurm":
            cluster = request.getfixturevalue("slurm")
            site = slurm_site.login_node(cluster, way.service, tmp_path)
        else:
            bucket = {"CLOUDQ_STORE_BUCKET": BUCKET, "CLOUDQ_STORE_PREFIX": tmp_path.name}
            reached = {"CLOUDQ_STORE_ENDPOINT_URL": way.service.endpoint_url}
            site = Site(tmp_path, moto_service.environment() | bucket | reached)
        yield Rig(site, evolve(site, variables=site.variables | direct), way)
        if request.param == "slurm":
            cluster.clear()


def test_what_runs_while_the_store_is_away_goes_on_and_its_end_comes_with_the_store(rig: Rig) -> None:
    agent = DoomedAgent(rig.site, Doom(""), time_to_live_s=TIME_TO_LIVE)
    try:
        with rig.steady.client() as client:
            ends, goes_on = rig.submit(client), rig.submit(client)
            running(client, ends), running(client, goes_on)
            epoch = rig.epoch()
            rig.way.goes_down()
            away_since = time.monotonic()
            rig.let_go(ends)
            check_what_users_are_told(rig.site, ends)
            wait_until(
                lambda: (
                    time.monotonic() > away_since + AWAY_S and "Connection refused" in str(rig.warnings())
                ),
                AWAY_S + 120,
            )
            assert {client.job(job_id).state for job_id in (ends, goes_on)} == {JobState.RUN}
            told = rig.warnings()
            rig.way.comes_back()
            ended(client, ends, timeout=120)
            assert rig.epoch() > epoch
            later = rig.submit(client)
            for job_id in (goes_on, later):
                rig.let_go(job_id)
            ended(client, goes_on, later, timeout=120)

            check_all(client, dict.fromkeys((ends, goes_on, later), 3), rig.runs)
    finally:
        agent.kill()
    log.info("away for %.0f s, the agent said:\n%s", AWAY_S, "\n".join(told))
    # One line per poll would make dozens.
    assert len(told) == len(set(told)) <= 8
    assert any("Connection refused" in line for line in told)
    assert len([line for line in told if "not acting" in line]) == 1


def check_what_users_are_told(site: Site, job_id: str) -> None:
    """Commands report the fault and its place, and do not claim that a job is missing or a list empty."""
    script = str(site.script("#!/bin/bash\n", "other.sh"))
    asked = [
        ["list"], ["history"], ["stat", job_id], ["log", job_id], ["cancel", job_id], ["stageout", job_id],
        ["submit", "--submit_to", site.system, "--script", script],
    ]  # fmt: skip
    with ThreadPoolExecutor(len(asked)) as together:
        done = list(together.map(lambda words: site.run("cloudqcli", *words), asked))

    place = f"bucket '{BUCKET}' at {site.variables['CLOUDQ_STORE_ENDPOINT_URL']}"
    for each in done:
        assert (each.returncode, each.stdout) == (4, ""), each
        assert each.stderr.startswith(f"cloudqcli: {place}: Could not connect")
        assert each.stderr.endswith("refused); check endpoint_url in [store] and the network\n")
