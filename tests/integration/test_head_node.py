"""The script of the head node, run unchanged: from a wheel, in a scratch root, to an agent that works."""

from __future__ import annotations

import configparser
import json
import os
import signal
import stat
import tomllib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen

from cloudq.adapters.own_wheel import own_wheel
from cloudq.adapters.presets import HEAD_NODE, shipped_preset
from cloudq.client import Client
from cloudq.config import load_config
from cloudq.domain.errors import WaitTimedOut
from cloudq.domain.jobs.job import Job
from cloudq.ports.presets import Wheel
from tests.parts.head_node import LOG_GROUP, HeadNode, head_node, pinned_to_what_is_here
from tests.parts.instance_role import instance_role
from tests.parts.s3_services import BUCKET, S3Service
from tests.parts.site import wait_until
from tests.parts.slurm import Slurm
from tests.parts.world import text_of

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("slurm")]

SYSTEM = "mine"
SECRET = "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:cloudq/mine/store-Ab12Cd"
KEY_ID = "AKIAPLANTEDPLANTED00"
SECRET_KEY = "planted+secret/key%20that=must;be[nowhere]else"
STORED = json.dumps({"aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET_KEY})
SET_UP = "s3://cloudq-setup-123456789012-ap-northeast-1/clusters/mine"
SCRIPT = shipped_preset("default")[HEAD_NODE]
META_JOB = """\
#!/bin/bash
#$ run_on: mine
#$ project: any
#$ resource: cpu
#$ n_resource: 1
echo "from a node of $SYSTEM: $SLURM_JOB_NUM_NODES"
"""


@frozen
class Case:
    """A machine, and the arguments of its script."""

    machine: HeadNode
    service: S3Service
    wheel: Wheel
    prefix: str

    def boot(self, **changed: str) -> tuple[int, str]:
        given = {
            "wheel": f"{SET_UP}/{self.wheel.name}",
            "system": SYSTEM,
            "endpoint": self.service.endpoint_url,
            "bucket": BUCKET,
            "prefix": self.prefix,
            "region": "us-east-1",
            "secret": SECRET,
            "aws_region": "ap-northeast-1",
            "cluster": "mine",
        }
        done = self.machine.boot(SCRIPT, *(f"--{name}={value}" for name, value in (given | changed).items()))
        return done.status, done.said

    def acts(self) -> bool:
        """Return whether the agent that was started last holds the lease."""
        said = self.machine.run(*self.agent("--status", "--json"))
        return said.returncode == 0 and json.loads(said.stdout)["pid"] == self.machine.agent_pid()

    def agent(self, *words: str) -> tuple[str, ...]:
        home = self.machine.home
        return ("/usr/bin/env", f"HOME={home}", str(home / "cloudq-venv" / "bin" / "cloudqd"), *words)


@contextmanager
def case(slurm: Slurm | None, service: S3Service, wheel: Wheel, **surroundings: str) -> Iterator[Case]:
    """A head node before its script has run; the set-up bucket and the secret exist."""
    with head_node(slurm, **surroundings) as machine:
        machine.put_object(f"{SET_UP}/{wheel.name}", wheel.content)
        machine.put_secret(SECRET, STORED)
        # So that a test does not wait for the poll interval of the shipped profile.
        own = machine.home / ".cloudq" / "systems"
        own.mkdir(parents=True, mode=0o700)
        (own / "parallelcluster.toml").write_text("poll_interval = 1\n")
        yield Case(machine, service, wheel, f"{uuid.uuid4()}/")


@pytest.fixture(scope="module")
def wheel() -> Wheel:
    """The wheel that the builder puts into the set-up bucket."""
    return pinned_to_what_is_here(own_wheel())


@pytest.fixture
def fresh(moto_service: S3Service, wheel: Wheel) -> Iterator[Case]:
    """A head node for faults that occur before the scheduler matters."""
    with case(None, moto_service, wheel) as made:
        yield made


@pytest.fixture(scope="module")
def booted(slurm: Slurm, moto_service: S3Service, wheel: Wheel) -> Iterator[Case]:
    """The head node of the cluster, whose nodes have their instance type as a feature, as real ones do."""
    feature = ("AvailableFeatures=c5.xlarge", "ActiveFeatures=c5.xlarge")
    for node in slurm.nodes:
        assert slurm.run("scontrol", "update", f"NodeName={node}", *feature).returncode == 0
    with case(slurm, moto_service, wheel) as made:
        status, said = made.boot()
        assert status == 0, said
        yield made
    slurm.clear()
    for node in slurm.nodes:
        slurm.run("scontrol", "update", f"NodeName={node}", "AvailableFeatures=", "ActiveFeatures=")


@pytest.fixture
def client(booted: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client on the user's own machine, with another home and another key."""
    for name, value in booted.service.environment().items():
        monkeypatch.setenv(name, value)
    (tmp_path / "config.toml").write_text(f'[resources.cpu]\n{SYSTEM} = "c5.xlarge"\n')
    store = {"endpoint_url": booted.service.endpoint_url, "bucket": BUCKET, "prefix": booted.prefix}
    variables = {f"CLOUDQ_STORE_{name.upper()}": value for name, value in store.items()}
    return Client.connect(load_config(variables, home=tmp_path))


def run_job(booted: Case, client: Client, folder: Path) -> Job:
    script = folder / "hello.sh"
    script.write_text(META_JOB)
    job_id = client.submit(script).job.uuid
    try:
        return client.wait(job_id, timeout=90, poll=0.3)
    except WaitTimedOut as late:
        raise AssertionError(booted.machine.agent_log()) from late


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_job_of_the_client_runs_on_the_cluster_to_its_end(
    booted: Case, client: Client, tmp_path: Path
) -> None:
    ended = run_job(booted, client, tmp_path)

    assert (ended.state.value, ended.exit_code, ended.run_system) == ("DONE", 0, SYSTEM)
    assert text_of(client.log(ended.uuid)) == "from a node of mine: 1\n"
    assert "--constraint=c5.xlarge" in ended.submit_opt_local


def test_the_agent_is_of_the_version_that_was_in_the_wheel(booted: Case) -> None:
    said = booted.machine.run(*booted.agent("--version"))

    assert said.stdout.split()[1] == booted.wheel.name.split("-")[1]
    assert booted.machine.calls("dnf") == [["install", "-y", "-q", "python3.11"]]


def test_the_configuration_is_one_that_the_agent_reads_as_it_was_meant(booted: Case) -> None:
    file = booted.machine.home / ".cloudq" / "config.toml"
    config = load_config({}, home=file.parent, path=file)

    assert mode(file) == 0o600
    assert (config.agent.name, config.agent.profile) == (SYSTEM, "parallelcluster")
    assert (config.store.endpoint_url, config.store.bucket) == (booted.service.endpoint_url, BUCKET)
    assert (config.store.prefix, config.store.region) == (booted.prefix, "us-east-1")
    assert config.store.profile == "cloudq"
    assert tomllib.loads(file.read_text())["agent"] == {"name": SYSTEM, "profile": "parallelcluster"}


def test_the_service_starts_with_the_machine_and_again_after_every_end(booted: Case) -> None:
    unit = (booted.machine.root / "etc/systemd/system/cloudqd.service").read_text()
    verbs = [words[0] for words in booted.machine.calls("systemctl")]

    assert "\nUser=ec2-user\n" in unit
    assert "\nRestart=always\n" in unit
    assert "\nStartLimitIntervalSec=0\n" in unit
    assert verbs[:3] == ["daemon-reload", "enable", "restart"]


def test_an_agent_that_is_killed_is_back_and_runs_jobs(booted: Case, client: Client, tmp_path: Path) -> None:
    before = booted.machine.agent_pid()

    os.kill(before, signal.SIGKILL)
    wait_until(lambda: booted.machine.agent_pid() != before and booted.acts(), 240)

    assert run_job(booted, client, tmp_path).state.value == "DONE"


def test_its_log_goes_to_the_log_group_of_the_cluster(booted: Case) -> None:
    [words] = booted.machine.calls("amazon-cloudwatch-agent-ctl")[:1]
    asked = booted.machine.root / words[-1].removeprefix("file:/")
    [entry] = json.loads(asked.read_text())["logs"]["logs_collected"]["files"]["collect_list"]

    assert words[:5] == ["-a", "append-config", "-m", "ec2", "-s"]
    assert entry["log_group_name"] == LOG_GROUP
    assert Path(entry["file_path"]).stat().st_size > 0


def test_run_twice_it_ends_the_same_and_keeps_what_the_user_changed(booted: Case) -> None:
    config = booted.machine.home / ".cloudq" / "config.toml"
    config.write_text(config.read_text().replace("# handicap = 0", "handicap = 120"))
    paths = (config, booted.machine.home / ".aws" / "credentials", booted.machine.root / "etc/systemd/system")
    before = [contents(path) for path in paths]
    installed = (booted.machine.home / "cloudq-venv" / "pyvenv.cfg").stat().st_mtime_ns

    status, said = booted.boot()

    assert status == 0, said
    assert [contents(path) for path in paths] == before
    assert "handicap = 120" in config.read_text()
    assert (booted.machine.home / "cloudq-venv" / "pyvenv.cfg").stat().st_mtime_ns == installed
    assert booted.acts()


def test_the_key_is_in_one_file_of_the_user_alone_and_nowhere_else(booted: Case, client: Client) -> None:
    """No log, argument, unit or configuration has the key, and nothing that the agent put into the bucket."""
    credentials = booted.machine.home / ".aws" / "credentials"
    stored = configparser.RawConfigParser()
    stored.read(credentials)
    there = {booted.machine.notes / "secrets.json", credentials}  # the first is Secrets Manager itself
    files = [path for path in booted.machine.root.rglob("*") if path.is_file() and path not in there]

    assert dict(stored["cloudq"]) == json.loads(STORED)
    assert (mode(credentials), mode(credentials.parent)) == (0o600, 0o700)
    assert len(files) > 100
    assert [path for path in files if planted_in(path.read_bytes())] == []
    assert [pid for pid in Path("/proc").glob("[0-9]*/cmdline") if planted_in(read(pid))] == []
    assert not planted_in(text_of(client.agent_log(SYSTEM)).encode())


def test_another_profile_of_the_credentials_is_left_alone(fresh: Case) -> None:
    aws = fresh.machine.home / ".aws"
    aws.mkdir(mode=0o700)
    (aws / "credentials").write_text("[default]\naws_access_key_id = mine%1\n")

    fresh.boot(bucket="there-is-no-such-bucket")

    found = configparser.RawConfigParser()
    found.read(aws / "credentials")
    assert found["default"]["aws_access_key_id"] == "mine%1"
    assert found["cloudq"]["aws_access_key_id"] == KEY_ID


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"wheel": f"{SET_UP}/cloudq-0-py3-none-any.whl"}, "does not exist"),
        ({"wheel": ""}, "--wheel"),
        ({"bucket": ""}, "--bucket"),
        ({"colour": "blue"}, "unknown argument --colour"),
        ({"secret": SECRET + "x"}, "AccessDenied"),
        ({"bucket": "there-is-no-such-bucket"}, "there-is-no-such-bucket"),
        ({"system": "Not A Name"}, "Not A Name"),
    ],
)
def test_what_cannot_be_ends_it_loudly_before_anything_is_started(
    fresh: Case, changed: dict[str, str], told: str
) -> None:
    status, said = fresh.boot(**changed)

    assert status != 0
    assert told in said
    assert "FAILED" in said
    assert fresh.machine.calls("systemctl") == []


@pytest.mark.parametrize("stored", [SECRET_KEY, json.dumps([SECRET_KEY]), json.dumps({"key": SECRET_KEY})])
def test_a_secret_that_is_something_else_is_refused_and_not_repeated(fresh: Case, stored: str) -> None:
    fresh.machine.put_secret(SECRET, stored)

    status, said = fresh.boot()

    assert status != 0
    assert "the secret is not" in said
    assert not planted_in(said.encode())


def test_without_a_secret_the_role_of_the_machine_opens_the_bucket(
    moto_service: S3Service, wheel: Wheel
) -> None:
    with instance_role() as role:
        around = {**role.surroundings, "AWS_ENDPOINT_URL": moto_service.endpoint_url}
        with case(None, moto_service, wheel, **around) as made:
            status, said = made.boot(secret="", endpoint="", region="")
            acts = made.acts()
            has_file = (made.machine.home / ".aws").exists()

    assert status == 0, said
    assert acts
    assert not has_file
    assert role.asked > 0


def contents(path: Path) -> dict[str, tuple[int, bytes]]:
    paths = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file): (mode(file), file.read_bytes()) for file in paths}


def planted_in(data: bytes) -> bool:
    return SECRET_KEY.encode() in data or SECRET_KEY.partition("%")[0].encode() in data


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended in the meantime
        return b""
