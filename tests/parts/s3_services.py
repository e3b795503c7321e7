"""Provide S3 services for tests, as session fixtures: moto made atomic, and Ceph where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from cloudq.adapters.clock import SystemClock
from cloudq.adapters.object_stores.wrappers.retrying import RetryingStore
from tests.parts import ceph

if TYPE_CHECKING:
    from cloudq.adapters.object_stores.s3.store import S3Store

BUCKET = "cloudq-test"


def open_s3(**settings: Any) -> S3Store:
    """Open the store with a real clock."""
    # Loading boto3 is slow: only tests that use a service wait for it.
    from cloudq.adapters.object_stores.s3.store import S3Store

    return S3Store(**{"elapsed": SystemClock().elapsed, **settings})


@frozen
class S3Service:
    """The address and the keys of a service, with one bucket in it."""

    endpoint_url: str
    access_key: str
    secret_key: str

    def environment(self) -> dict[str, str]:
        """Return the variables that give a process access."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def store(self, prefix: str) -> RetryingStore:
        """Open the bucket as cloudq does."""
        store = open_s3(bucket=BUCKET, endpoint_url=self.endpoint_url, prefix=prefix)
        return RetryingStore(store, SystemClock())

    def make_bucket(self) -> None:
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=BUCKET)
        client.close()


@pytest.fixture(scope="session")
def moto_service() -> Iterator[S3Service]:
    """A service that is always available."""
    yield from _moto()


@pytest.fixture(scope="session")
def weak_moto_service() -> Iterator[S3Service]:
    """A service that ignores the conditions of a PUT."""
    yield from _moto("--ignore-conditions")


def _moto(*options: str) -> Iterator[S3Service]:
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("locked_moto.py")), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        try:
            assert server.stdout is not None
            service = S3Service(f"http://127.0.0.1:{int(server.stdout.readline())}", "moto", "any secret")
            service.make_bucket()
            yield service
        finally:
            server.kill()


@pytest.fixture(scope="session")
def ceph_service() -> Iterator[S3Service]:
    """A real service; tests that use it are marked ``real`` and share the xdist group ``ceph``."""
    missing = ceph.missing_commands()
    if missing:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain(f"Ceph is not installed here: {', '.join(missing)}")
    server = _started_ceph()
    try:
        service = S3Service(server.endpoint_url, ceph.ACCESS_KEY, ceph.SECRET_KEY)
        service.make_bucket()
        yield service
    finally:
        server.stop()


def _started_ceph() -> ceph.Ceph:
    """Start Ceph; try again if another process took a port that was free a moment ago."""
    for attempts_left in (2, 1, 0):
        server = ceph.Ceph()
        try:
            server.start()
        except ceph.CephDidNotStart:
            if not attempts_left:
                raise
        else:
            return server
    raise AssertionError("not reached")
