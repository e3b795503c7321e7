"""The page on ABCI and AWS, step by step: two clusters, one bucket, stand-ins for both schedulers."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudq.client import Client
from cloudq.domain.jobs.job_state import JobState
from tests.parts.fake_pbs.complex import FakePbs
from tests.parts.fake_slurm.cluster import FakeSlurm
from tests.parts.s3_services import BUCKET, S3Service
from tests.parts.site import Site, ended, wait_until
from tests.parts.world import text_of

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NAMES = re.findall(r"```toml\n(\[projects.*?)```", (ROOT / "docs/abci-and-aws.md").read_text(), re.DOTALL)[0]


def login_node(name: str, profile: str, root: Path, variables: dict[str, str]) -> Site:
    site = Site(root, variables | {"CLOUDQ_AGENT_PROFILE": profile}, name)
    (site.home / "systems").mkdir(parents=True, mode=0o700)
    (site.home / "systems" / f"{profile}.toml").write_text("poll_interval = 0.5\n")
    (site.home / "config.toml").write_text(NAMES)
    return site


@pytest.fixture
def sites(
    moto_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Site, Site]]:
    """A login node of ABCI, the head node of a cluster on AWS, and a bucket that both can reach."""
    for name, value in moto_service.environment().items():
        monkeypatch.setenv(name, value)
    store = {
        "CLOUDQ_STORE_ENDPOINT_URL": moto_service.endpoint_url,
        "CLOUDQ_STORE_BUCKET": BUCKET,
        "CLOUDQ_STORE_PREFIX": str(uuid.uuid4()),
    }
    pbs, slurm = FakePbs(tmp_path), FakeSlurm(tmp_path)
    shared = moto_service.environment() | store
    yield (
        login_node("abci", "abci", tmp_path / "abci", shared | pbs.environment()),
        login_node("aws", "parallelcluster", tmp_path / "aws", shared | slurm.environment()),
    )
    pbs.end_everything()


def submitted(client: Client, script: str, **options: str) -> str:
    return client.submit(EXAMPLES / script, **options).job.uuid  # type: ignore[arg-type]


def test_jobs_for_both_one_of_them_and_either(sites: tuple[Site, Site]) -> None:
    abci, aws = sites
    with abci.client() as client, abci.agent(), aws.agent():
        registry = client._parts.list_agents.registry
        wait_until(lambda: set(registry.systems()) == {"abci", "aws"})
        offered = client.submit(EXAMPLES / "mjob_array.sh", array_tid="1-4:1")
        either = offered.job.uuid
        there = submitted(client, "mjob_array.sh", submit_to="abci", array_tid="1-4:1")
        own = submitted(client, "ljob_array.abci.sh", submit_to="abci", submit_opt="-P gaa50000")
        ended(client, there)  # otherwise the other agent checks this job only a minute later
        after = submitted(client, "mjob_array.sh", submit_to="aws", array_tid="1-4:1", hold_ok_jid=there)
        jobs = ended(client, either, there, after, own)
        printed = [text_of(client.log(job_id, tid=1)) for job_id in (there, after, own)]

    assert [(job.state, job.error_msg) for job in jobs] == [(JobState.DONE, "")] * 4
    assert [job.run_system for job in jobs[1:]] == ["abci", "aws", "abci"]
    assert any("Offered to abci, aws." in told for told in offered.warnings)
    assert jobs[0].run_system in {"abci", "aws"}
    assert jobs[1].submit_opt_local == "-P gaa50000 -q rt_HC -l select=1 -l walltime=0:10:00"
    assert jobs[2].submit_opt_local == "--constraint=c5.xlarge --nodes=1 --time=0:10:00"
    assert [line.rpartition(": ")[2] for line in printed] == ["124750\n"] * 3
    assert " on abci: " in printed[0]
    assert " on aws: " in printed[1]
