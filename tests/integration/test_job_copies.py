"""`abci_cs_cp` as a process of a job, on every kind of store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from attrs import frozen

from tests.parts.s3_services import BUCKET, S3Service
from tests.parts.scripted_s3 import an_error, scripted_s3
from tests.parts.tool_box import WITHIN_S, ToolBox

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@frozen
class Job:
    """A job whose agent has the configuration in this home."""

    box: ToolBox
    prefix: str = ""

    @property
    def here(self) -> Path:
        return self.box.work_dir

    @property
    def config(self) -> Path:
        return self.box.root / "agent.toml"

    def url(self, key: str = "") -> str:
        return f"s3://{BUCKET}/{self.prefix}{key}"

    def configure(self, **store: str) -> None:
        lines = (f'{name} = "{value}"\n' for name, value in store.items())
        self.config.write_text("[store]\n" + "".join(lines))

    def write_profile(self, name: str, service: S3Service) -> None:
        aws = self.box.root / "home" / ".aws"
        aws.mkdir(parents=True, exist_ok=True)
        keys = f"aws_access_key_id = {service.access_key}\naws_secret_access_key = {service.secret_key}\n"
        with (aws / "credentials").open("a") as file:
            file.write(f"[{name}]\n{keys}")

    def environ(self, **more: str) -> dict[str, str]:
        told = {"CLOUDQ_PYTHON": sys.executable, "CLOUDQ_CONFIG": str(self.config)}
        return {**told, **more}

    def copy(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.box.run("abci_cs_cp", *args, **self.environ(**env))

    def copied(self, *args: str) -> None:
        done = self.copy(*args)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job on a machine whose configuration file has no settings."""
    job = Job(ToolBox(tmp_path / "it's a $HOME é"))
    job.configure()
    return job


@pytest.fixture(
    params=[
        "directory",
        "moto",
        pytest.param("ceph", marks=[pytest.mark.real, pytest.mark.xdist_group("ceph")]),
    ]
)
def job_with_bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    """A job with a bucket in a directory, in moto or in Ceph RGW, by a profile of the user."""
    job = Job(ToolBox(tmp_path / "it's a $HOME é"), f"{uuid.uuid4()}/")
    if request.param == "directory":
        (tmp_path / "store" / BUCKET).mkdir(parents=True)
        job.configure(endpoint_url=f"file://{tmp_path}/store")
        return job
    service: S3Service = request.getfixturevalue(f"{request.param}_service")
    job.write_profile("tests", service)
    job.configure(endpoint_url=service.endpoint_url, bucket="another", profile="tests", region="us-east-1")
    return job


@pytest.fixture
def service_job(job: Job, moto_service: S3Service) -> Job:
    """A job whose configuration has no S3 service, although there is one."""
    job.write_profile("tests", moto_service)
    return Job(job.box, f"{uuid.uuid4()}/")


def test_a_file_goes_to_the_bucket_and_back(job_with_bucket: Job) -> None:
    job = job_with_bucket
    (job.here / "a b.txt").write_text("content\n")

    job.copied("a b.txt", job.url("d/"))
    job.copied(job.url("d/a b.txt"), "back.txt")

    assert (job.here / "back.txt").read_text() == "content\n"


def test_a_directory_goes_to_the_bucket_and_back(job_with_bucket: Job) -> None:
    job = job_with_bucket
    files = {f"d{number % 3}/größe {number}": f"content {number}" for number in range(12)}
    for name, content in files.items():
        (job.here / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (job.here / "data" / name).write_text(content)

    job.copied("data/", job.url("p/"))
    job.copied(job.url("p"), "back/")

    back = job.here / "back"
    assert {
        str(path.relative_to(back)): path.read_text() for path in back.rglob("*") if path.is_file()
    } == files


def test_a_big_file_goes_there_and_back_in_parts(job_with_bucket: Job) -> None:
    job = job_with_bucket
    content = os.urandom(1024) * (20 * 1024) + b"end"
    (job.here / "big").write_bytes(content)

    job.copied(str(job.here / "big"), job.url("big"))
    job.copied(job.url("big"), str(job.here / "back"))

    assert (job.here / "back").read_bytes() == content


def test_a_bucket_goes_to_another_place_in_it(job_with_bucket: Job) -> None:
    job = job_with_bucket
    (job.here / "x").write_text("content")
    job.copied("x", job.url("p/x"))

    job.copied(job.url("p/"), job.url("q/"))
    job.copied(job.url("q/x"), "back")

    assert (job.here / "back").read_text() == "content"


def test_an_object_that_is_not_there_is_told(job_with_bucket: Job) -> None:
    done = job_with_bucket.copy(job_with_bucket.url("missing"), "x")

    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == f"abci_cs_cp: no object {job_with_bucket.url('missing')} in the store\n"
    assert list(job_with_bucket.here.iterdir()) == []


def test_a_bucket_that_is_not_there_is_told(job_with_bucket: Job) -> None:
    (job_with_bucket.here / "x").touch()

    for places in (("x", "s3://no-such-bucket/x"), ("s3://no-such-bucket/x", "y")):
        done = job_with_bucket.copy(*places)

        assert done.returncode == 4
        assert "no-such-bucket" in done.stderr


def test_a_service_and_a_profile_may_be_named(service_job: Job, moto_service: S3Service) -> None:
    """They work even if the configuration names another store."""
    job = service_job
    (job.here / "x").write_text("content")

    job.copied("x", job.url("x"), moto_service.endpoint_url, "tests")
    job.copied(job.url("x"), "y", moto_service.endpoint_url, "tests")

    assert (job.here / "y").read_text() == "content"


def test_the_prefix_of_cloudqs_own_records_is_not_the_jobs(job: Job, tmp_path: Path) -> None:
    """`s3://bucket/key` means exactly that key, as in every other tool."""
    (tmp_path / "store" / "bucket").mkdir(parents=True)
    job.configure(endpoint_url=f"file://{tmp_path}/store", bucket="another", prefix="team/cloudq")
    (job.here / "x").write_text("content")

    job.copied("x", "s3://bucket/x")

    assert (tmp_path / "store" / "bucket" / "x").read_text() == "content"


def test_a_key_that_leads_elsewhere_is_refused(service_job: Job, moto_service: S3Service) -> None:
    job = service_job
    store = f"{job.prefix}p/"
    moto_service_put(moto_service, f"{store}a", f"{store}../../evil")

    done = job.copy(job.url("p/"), "in/to/", moto_service.endpoint_url, "tests")

    assert done.returncode == 6
    assert "cannot become a file" in done.stderr
    assert list(job.here.rglob("*")) == []


def moto_service_put(service: S3Service, *keys: str) -> None:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=service.endpoint_url,
        aws_access_key_id=service.access_key,
        aws_secret_access_key=service.secret_key,
        region_name="us-east-1",
    )
    for key in keys:
        client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    client.close()


def test_a_missing_right_is_told_without_any_secret(job: Job) -> None:
    job.write_profile("tests", S3Service("", "AKIDEXAMPLE", SECRET))
    with scripted_s3(an_error(403, "AccessDenied")) as service:
        done = job.copy("s3://bucket/x", "x", service.endpoint_url, "tests")

        assert all(SECRET not in str(asked) for asked in service.asked)
    assert done.returncode == 4
    assert "AccessDenied" in done.stderr
    assert "ask the bucket's owner" in done.stderr
    assert SECRET not in done.stderr


def test_a_service_out_of_reach_is_told(job: Job, moto_service: S3Service) -> None:
    job.write_profile("tests", moto_service)
    (job.here / "x").touch()

    done = job.copy("x", "s3://bucket/x", "http://127.0.0.1:1", "tests")

    assert done.returncode == 4
    assert "http://127.0.0.1:1" in done.stderr


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        ((), 2, "usage: abci_cs_cp SRC DST"),
        (("x",), 2, "usage:"),
        (("--help",), 2, "usage:"),
        (("a", "b", "c", "d", "e"), 2, "usage:"),
        (("x", "y"), 2, "use cp"),
        (("x", "gs://bucket/x"), 2, "neither s3://bucket/key nor a path"),
        (("x", "s3://"), 2, "not the name of a bucket"),
        (("s3://bucket/x", ""), 2, "empty"),
        (("-x", "s3://bucket/x", "ftp://host"), 2, "ENDPOINT"),
        (("x", "s3://bucket/x", "https://me:word@host"), 2, "ENDPOINT"),
        (("x", "s3://bucket/x", "", " p"), 2, "PROFILE"),
        (("x", "s3://bucket/x", "http://127.0.0.1:1", "nobody"), 4, "nobody"),
        (("--config", "s3://jobs/x"), 4, "cloudq's own records"),
    ],
)
def test_what_cannot_be_asked_is_told(job: Job, args: tuple[str, ...], status: int, words: str) -> None:
    done = job.copy(*args)

    assert (done.returncode, done.stdout) == (status, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_like_an_option_is_a_name(job_with_bucket: Job) -> None:
    (job_with_bucket.here / "--help").write_text("content")

    job_with_bucket.copied("--help", job_with_bucket.url())
    job_with_bucket.copied(job_with_bucket.url("--help"), "-x")

    assert (job_with_bucket.here / "-x").read_text() == "content"


def test_what_lies_in_the_work_directory_is_no_part_of_it(job_with_bucket: Job) -> None:
    """Neither modules in the work directory nor the job's Python variables affect the command."""
    job = job_with_bucket
    for name in ("json.py", "cloudq.py", "boto3.py"):
        (job.here / name).write_text("raise SystemExit('ran what the job brought along')")
    env = {"PYTHONPATH": str(job.here), "PYTHONHOME": "/nowhere", "PYTHONSTARTUP": "json.py"}

    done = job.copy("json.py", job.url("x"), **env)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("python", ["", "/nowhere/python3", "-x"])
def test_without_its_python_it_says_so(job: Job, python: str) -> None:
    done = job.copy("x", "s3://bucket/x", CLOUDQ_PYTHON=python)

    assert done.returncode == 127
    assert "CLOUDQ_PYTHON" in done.stderr


def test_a_broken_configuration_is_told_with_its_place(job: Job) -> None:
    job.config.write_text("[store]\nbuckett = 1\n")

    done = job.copy("x", "s3://bucket/x")

    assert done.returncode == 3
    assert f"{job.config} line 2" in done.stderr


def test_terminated_it_leaves_nothing_half_written(job: Job, tmp_path: Path) -> None:
    """The signal arrives long before either object is copied."""
    store = tmp_path / "store" / "bucket"
    store.mkdir(parents=True)
    job.configure(endpoint_url=f"file://{tmp_path}/store")
    for name in ("a", "b"):
        with (store / name).open("wb") as file:
            file.truncate(4 << 30)  # a sparse file takes no space, but takes seconds to copy
    process = job.box.start("abci_cs_cp", "s3://bucket/", "in", **job.environ())
    ends = time.monotonic() + WITHIN_S
    while not any(path.stat().st_size for path in (job.here / "in").glob(".cloudq-part-*")):
        assert time.monotonic() < ends
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=WITHIN_S)

    assert process.returncode == 143
    assert list((job.here / "in").iterdir()) == []
