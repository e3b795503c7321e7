"""Fixtures: sites on every kind of store, and on a cluster."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.commands import Home
from tests.parts.s3_services import BUCKET, S3Service
from tests.parts.site import Site
from tests.parts.slurm import Slurm
from tests.parts.slurm_site import login_node


@pytest.fixture(
    params=[
        "directory",
        "moto",
        pytest.param("ceph", marks=[pytest.mark.real, pytest.mark.xdist_group("ceph")]),
    ]
)
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A machine whose jobs pass through a directory, moto or Ceph RGW."""
    tmp_path.mkdir(exist_ok=True)
    if request.param == "directory":
        return Site(tmp_path)
    service: S3Service = request.getfixturevalue(f"{request.param}_service")
    for name, value in service.environment().items():
        monkeypatch.setenv(name, value)
    store = {
        "CLOUDQ_STORE_ENDPOINT_URL": service.endpoint_url,
        "CLOUDQ_STORE_BUCKET": BUCKET,
        "CLOUDQ_STORE_PREFIX": str(uuid.uuid4()),
    }
    return Site(tmp_path, service.environment() | store)


@pytest.fixture
def local_site(tmp_path: Path) -> Site:
    """A machine with the embedded default configuration, whose store is a directory."""
    return Site(tmp_path)


@pytest.fixture
def slurm_site(
    slurm: Slurm, moto_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A login node of the cluster, with moto as its store."""
    yield _login_node(slurm, moto_service, tmp_path, monkeypatch)
    slurm.clear()


@pytest.fixture
def accounted_site(
    slurm_with_accounting: Slurm, moto_service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A login node of the cluster that has ``sacct``."""
    yield _login_node(slurm_with_accounting, moto_service, tmp_path, monkeypatch)
    slurm_with_accounting.clear()


def _login_node(slurm: Slurm, service: S3Service, root: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    for name, value in service.environment().items():  # for the client in the test process
        monkeypatch.setenv(name, value)
    return login_node(slurm, service, root)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A fresh home for commands that run as processes."""
    return Home(tmp_path / "home")


@pytest.fixture
def running_agent(home: Home) -> Iterator[None]:
    """An agent that runs in that home in the background."""
    started = home.cloudqd("--daemon", "--detach")
    assert started.returncode == 0, started.stderr
    yield
    assert home.cloudqd("--stop").returncode == 0
