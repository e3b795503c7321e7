"""Provide the real ``pcluster`` and a cloud for it, as fixtures.

The command has a separate Python environment: ``make pcluster`` creates it as ``.venv-pcluster``; the
variable ``PCLUSTER`` names another one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
REGION = "ap-northeast-1"
ACCOUNT = "123456789012"
KEYPAIR = "my-key"
JOBS = "my-cloudq-jobs"
BUILDER_KEY = ("AKIABUILDERSOWNKEY00", "builders-own-secret-builders-own-secret-")
STORE_KEY = ("AKIATHEJOBBUCKETS000", "the-job-buckets-secret-the-job-buckets-s")
"""A recognizable key, so that a test can search for it."""

FRONT = """\
#!/bin/bash
# What moto cannot answer is not asked: launching on trial, and the kind of a key pair.
printf '%s\\n' "$*" >>"{log}"
if [[ $1 == create-cluster && "$*" != *--suppress-validators* ]]; then
    set -- "$@" --suppress-validators type:HeadNodeLaunchTemplateValidator \\
        type:ComputeResourceLaunchTemplateValidator type:KeyPairValidator
fi
exec "{real}" "$@"
"""


def real_pcluster() -> Path | None:
    """Return the path of the command, or None if it is not installed."""
    candidates = (os.environ.get("PCLUSTER", ""), str(ROOT / ".venv-pcluster/bin/pcluster"))
    found = next((each for each in candidates if each and Path(each).is_file()), shutil.which("pcluster"))
    return Path(found) if found else None


@define
class Cloud:
    """A server that replaces AWS, and a user's home to work from."""

    endpoint_url: str
    home: Path
    orders_file: Path
    orders: dict[str, Any] = field(factory=lambda: {"seconds": 1.0, "fails": {}})
    clients: dict[str, Any] = field(factory=dict)

    def order(self, **orders: Any) -> None:
        """Set how long stacks take (*seconds*), which fail (*fails*: stack → reason), and which are *held*.

        Held stacks keep their state until another order.
        """
        self.orders |= orders
        written = self.orders_file.with_suffix(".new")  # the cloud may read at any moment
        written.write_text(json.dumps(self.orders))
        written.replace(self.orders_file)

    @property
    def environ(self) -> dict[str, str]:
        """Return the environment of a user who may build here; keys are in files."""
        return {
            "HOME": str(self.home),
            "CLOUDQ_HOME": str(self.home / ".cloudq"),
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_SHARED_CREDENTIALS_FILE": str(self.home / ".aws/credentials"),
            "AWS_CONFIG_FILE": str(self.home / ".aws/config"),
            "PATH": os.environ["PATH"],
        }

    def client(self, service: str) -> Any:
        """Return a client of this cloud."""
        import boto3

        if service not in self.clients:
            self.clients[service] = boto3.client(
                service,
                endpoint_url=self.endpoint_url,
                region_name=REGION,
                aws_access_key_id="testing",
                aws_secret_access_key="testing",
            )
        return self.clients[service]

    def close(self) -> None:
        """Close every connection."""
        for client in self.clients.values():
            client.close()

    def stacks(self) -> dict[str, str]:
        """Return every stack and its state."""
        found = self.client("cloudformation").describe_stacks()["Stacks"]
        return {stack["StackName"]: stack["StackStatus"] for stack in found}

    def front(self, real: Path) -> Path:
        """Write a ``pcluster`` for cloudq that records its arguments and then runs the real one."""
        command = self.home / ".cloudq/parallelcluster/bin/pcluster"
        command.parent.mkdir(parents=True, exist_ok=True)
        command.write_text(FRONT.format(log=self.calls, real=real))
        command.chmod(0o755)
        return command

    @property
    def calls(self) -> Path:
        """Return the file with the calls of ``pcluster``, one per line."""
        return self.home / "pcluster-calls"


@pytest.fixture(scope="session")
def cloud_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Run the server, once per session because it starts slowly; yield it and the file of its orders."""
    folder = tmp_path_factory.mktemp("cloud")
    orders = folder / "orders.json"
    with (
        (folder / "cloud.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-W", "ignore", str(HERE / "cloud.py")],
            env={**os.environ, "CLOUD_ORDERS": str(orders)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as server,
    ):
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}", orders
        finally:
            server.kill()


@pytest.fixture
def cloud(cloud_server: tuple[str, Path], tmp_path: Path) -> Iterator[Cloud]:
    """A cloud that contains only a key pair and a bucket for jobs."""
    endpoint_url, orders = cloud_server
    reset = urllib.request.Request(f"{endpoint_url}/moto-api/reset", method="POST")
    with urllib.request.urlopen(reset, timeout=60):
        pass
    made = Cloud(endpoint_url, tmp_path / "home", orders)
    try:
        made.order()
        _furnish(made)
        yield made
    finally:
        made.close()


@pytest.fixture
def pcluster(cloud: Cloud) -> Path:
    """The real command for that cloud; tests that use it are marked ``real``."""
    real = real_pcluster()
    missing = [name for name, there in (("pcluster", real), ("node", shutil.which("node"))) if not there]
    if missing:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain(f"ParallelCluster is not here: {', '.join(missing)} ('make pcluster' installs it)")
    assert real is not None
    return cloud.front(real)


def _furnish(cloud: Cloud) -> None:
    (cloud.home / ".aws").mkdir(parents=True)
    profiles = {"default": BUILDER_KEY, "jobs": STORE_KEY}
    (cloud.home / ".aws/credentials").write_text(
        "".join(
            f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
            for name, (key, secret) in profiles.items()
        )
    )
    (cloud.home / ".aws/config").write_text(f"[default]\nregion = {REGION}\n")
    cloud.client("ec2").create_key_pair(KeyName=KEYPAIR)
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=JOBS, CreateBucketConfiguration={"LocationConstraint": REGION})
    _furnish_bucket_of_pcluster(s3)


def _furnish_bucket_of_pcluster(s3: Any) -> None:
    """Prepare pcluster's own bucket: moto would take the policy that it sets for a refusal of everything."""
    name = hashlib.sha256(f"{ACCOUNT}{REGION}".encode()).hexdigest()[:16]
    bucket = f"parallelcluster-{name}-v1-do-not-delete"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    features = json.dumps({"bootstrapped_features": ["basic", "export-logs"]})
    s3.put_object(Bucket=bucket, Key="parallelcluster/.bootstrapped", Body=features)
