"""Everything fails at once on real schedulers, and no job is lost, run twice or recorded wrongly.

The bucket is behind a connection on which a tenth of all requests is refused, lost, delayed or cut; agents
and clients are killed at any moment; schedulers stop for a while.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from attrs import evolve, frozen

from cloudq.adapters.clock import SystemClock
from cloudq.bootstrap.stores import open_store
from cloudq.client import Client
from cloudq.config import load_config
from cloudq.domain.jobs.job_state import JobState
from tests.parts import grid_engine_site, slurm_site
from tests.parts.counted_runs import KNOWS_ITS_END, check_all, code_of
from tests.parts.doomed_client import DoomedClients
from tests.parts.faulty_proxy import FAULTS, FaultyProxy, faulty_way_to
from tests.parts.s3_services import S3Service
from tests.parts.site import Site, ended, wait_until

pytestmark = [pytest.mark.timeout(3600)]

JOBS = int(os.environ.get("STORM_JOBS", "24"))
"""The number of jobs that half a minute is enough for; ``STORM_JOBS=300`` takes six."""
LONGEST_JOB_S = float(os.environ.get("STORM_LONGEST_JOB", "6"))
SEED = int(os.environ.get("STORM_SEED", "1"))
SHARE = float(os.environ.get("STORM_FAULTS", "0.1"))
STOPS = int(os.environ.get("SCHEDULER_STOPS", "1"))
SCHEDULER_DOWN_S = float(os.environ.get("SCHEDULER_DOWN", "6"))

LIVES_S = (5.0, 20.0)
NO_ANSWER = "the scheduler gave no answer"

log = logging.getLogger(__name__)


@frozen
class Rig:
    """A site with a faulty connection to its store, and the means to cause more faults."""

    site: Site
    steady: Site
    """The same site on a good connection, for the checks of the test itself."""
    way: FaultyProxy
    runs: Path
    stop_scheduler: Callable[[], None]
    start_scheduler: Callable[[], None]

    def script(self) -> Path:
        body = KNOWS_ITS_END.format(runs=self.runs, longest_ms=int(1000 * LONGEST_JOB_S))
        return self.site.script(body)

    def keys(self, prefix: str, delimiter: str = "") -> list[str]:
        """Return the keys and key prefixes in the bucket below *prefix*."""
        store = open_store(load_config(self.steady.environment()).store, SystemClock())
        page = store.list_page(prefix, delimiter=delimiter)
        assert len(page.objects) + len(page.prefixes) < 1000
        return [each.key for each in page.objects] + list(page.prefixes)

    def log(self) -> str:
        return (self.site.root / "agent.out").read_text()

    def has_no_answer(self) -> bool:
        """Return whether the agent's log shows that it waits for its scheduler."""
        return self.log().rfind(NO_ANSWER) > self.log().rfind("everything works again")

    def tell(self) -> str:
        return f"{self.keys('queue/')}\n{self.log()[-3000:]}"

    def check(self, client: Client, confirmed: set[str]) -> set[str]:
        """Check that every job in the history ended right after one run, and return the ids of all others."""
        # The final record precedes its history entry, on a loaded machine by seconds.
        wait_until(lambda: confirmed <= {entry.job_id for entry in client.history()}, 120)
        seen = {entry.job_id for entry in client.history()}
        check_all(client, {job_id: code_of(job_id) for job_id in seen}, self.runs)
        half = {key.split("/")[1] for key in self.keys("jobs/", "/")} - seen
        for job_id in half:
            assert self.keys(f"jobs/{job_id}/claims/") == []
            if f"jobs/{job_id}/manifest.json" in self.keys(f"jobs/{job_id}/"):
                assert client.job(job_id).state is JobState.INIT
        return half


@pytest.fixture
def way(moto_service: S3Service) -> Iterator[FaultyProxy]:
    with faulty_way_to(moto_service, SHARE, SEED) as way:
        yield way


@pytest.fixture(
    params=[
        pytest.param("slurm", marks=[pytest.mark.real, pytest.mark.xdist_group("slurm")]),
        pytest.param("grid_engine", marks=[pytest.mark.real, pytest.mark.xdist_group("gridengine")]),
    ]
)
def rig(
    request: pytest.FixtureRequest,
    way: FaultyProxy,
    moto_service: S3Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Rig]:
    for name, value in moto_service.environment().items():  # for the client in the test process
        monkeypatch.setenv(name, value)
    cluster = request.getfixturevalue(request.param)
    if request.param == "slurm":
        site = slurm_site.login_node(cluster, way.service, tmp_path)
        stop, start = cluster.stop_controller, cluster.start_controller
    else:
        site = grid_engine_site.login_node(cluster, way.service, tmp_path)
        stop, start = cluster.stop_qmaster, cluster.start_qmaster
    direct = {"CLOUDQ_STORE_ENDPOINT_URL": moto_service.endpoint_url}
    runs = tmp_path / "runs"
    runs.mkdir()
    yield Rig(site, evolve(site, variables=site.variables | direct), way, runs, stop, start)
    cluster.clear()


def test_jobs_run_once_each_while_agents_clients_and_requests_are_lost_at_random(rig: Rig) -> None:
    chance = random.Random(SEED)
    clients = DoomedClients(rig.site, rig.script(), SEED)
    begun = time.monotonic()
    with rig.steady.client() as client, ThreadPoolExecutor(1) as background:
        submitting = background.submit(clients.submit, JOBS)
        killed = rig.site.agents_killed_until(
            lambda: submitting.done() and not rig.keys("queue/"), chance, LIVES_S, 3000, rig.tell
        )
        submitting.result()
        took_s = time.monotonic() - begun
        injected = rig.way.injected()
        rig.way.heals()
        with rig.site.agent():
            half = rig.check(client, clients.confirmed)
    log.info(
        "%d jobs confirmed in %.0f s, %d half submissions; %d agents, %d clients killed; clients said %s; %s",
        len(clients.confirmed), took_s, len(half), killed, clients.killed, dict(clients.problems), injected,
    )  # fmt: skip

    assert killed > 0
    assert clients.killed > 0
    assert sum(injected.get(fault, 0) for fault in FAULTS) >= JOBS / 2


def test_a_scheduler_that_is_stopped_and_started_again_under_load_loses_and_doubles_nothing(rig: Rig) -> None:
    script = rig.script()
    ids: set[str] = set()
    with rig.steady.client() as client, rig.site.agent():
        for _ in range(STOPS):
            ids.update(submit(client, rig, script) for _ in range(JOBS // STOPS))
            wait_until(lambda: any(client.job(job_id).state is JobState.RUN for job_id in ids), 300)
            rig.stop_scheduler()
            ids.add(submit(client, rig, script))
            wait_until(rig.has_no_answer, 300)
            time.sleep(SCHEDULER_DOWN_S)
            rig.start_scheduler()
            wait_until(lambda: not rig.has_no_answer(), 300)
        ended(client, *ids, timeout=1200)

        assert rig.check(client, ids) == set()
    injected = rig.way.injected()
    log.info("%d jobs, stopped %d times for %.0f s; %s", len(ids), STOPS, SCHEDULER_DOWN_S, injected)


def submit(client: Client, rig: Rig, script: Path) -> str:
    return client.submit(script, submit_to=rig.site.system, force=True).job.uuid
