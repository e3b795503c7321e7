"""``cloudqcli init``: writes a commented file from options or answers, and never overwrites one."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudq.bootstrap import original_jobs, stores
from cloudq.bootstrap.stores import open_store
from cloudq.config import load_config
from cloudq.entrypoints.cloudqcli.commands import init
from tests.unit.entrypoints.cloudqcli.conftest import Cli


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "config.toml"


def test_writes_what_the_options_say(cli: Cli, file: Path) -> None:
    result = cli(
        "init", "--endpoint_url", "https://s3.example.com", "--bucket", "my-jobs", "--profile", "cloudq",
        "--region", "us-east-1", "--system", "alpha", "--system-profile", "local",
    )  # fmt: skip
    config = load_config({}, path=file, home=file.parent)

    assert result.stdout == f"{file} has been written.\n"
    assert (config.store.endpoint_url, config.store.bucket) == ("https://s3.example.com", "my-jobs")
    assert (config.store.profile, config.store.region) == ("cloudq", "us-east-1")
    assert (config.agent.name, config.agent.profile) == ("alpha", "local")


def test_asks_nobody_when_there_is_no_terminal(cli: Cli, file: Path) -> None:
    assert cli("init").exit_code == 0
    assert load_config({}, path=file, home=file.parent).agent.name == "local"


def test_asks_on_a_terminal_and_leaves_out_what_is_empty(
    cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(init, "_is_asked", lambda: True)
    result = cli("init", typed="https://s3.example.com\nmy-jobs\n\nalpha\nslurm\nn\n")
    config = load_config({}, path=file, home=file.parent)

    assert result.exit_code == 0
    assert (config.store.bucket, config.store.profile) == ("my-jobs", "")
    assert (config.agent.name, config.agent.profile) == ("alpha", "slurm")


def test_a_directory_is_not_looked_at_unasked(cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(init, "_is_asked", lambda: True)
    result = cli("init", typed="\n\n\n\n\n")

    assert (result.exit_code, file.exists()) == (0, True)
    assert "Check now" not in result.stderr


# The scheduler of this machine, and the next step --------------------------------------------


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put commands on an otherwise empty path, on a terminal of the host Login-1.example.org."""
    monkeypatch.setattr(init, "_is_asked", lambda: True)
    monkeypatch.setattr("platform.node", lambda: "Login-1.example.org")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def install(*names: str) -> None:
        for name in names:
            (tmp_path / "bin" / name).touch(mode=0o755)

    return install


@pytest.mark.parametrize(
    ("names", "profile", "scheduler"),
    [
        (("sbatch", "squeue"), "slurm", "Found sbatch: the scheduler of this machine seems to be Slurm."),
        (
            ("qsub", "qconf"),
            "gridengine",
            "Found qsub: the scheduler of this machine seems to be Grid Engine.",
        ),
        (("qsub", "pbsnodes"), "pbs", "Found qsub: the scheduler of this machine seems to be PBS."),
        (("sbatch", "squeue", "qsub"), "slurm", "Found sbatch: "),
    ],
)
def test_the_profile_of_the_scheduler_that_is_here_is_offered(
    cli: Cli, file: Path, commands: Callable[..., None], names: tuple[str, ...], profile: str, scheduler: str
) -> None:
    commands(*names)
    result = cli("init", typed="https://s3.example.com\nmy-jobs\n\n\n\nn\n")
    agent = load_config({}, path=file, home=file.parent).agent

    assert result.exit_code == 0, result.output
    assert result.stderr.startswith(scheduler)
    assert (agent.name, agent.profile) == ("login-1", profile)
    assert result.stderr.endswith("Next, start the agent on this machine: cloudqd --daemon --detach\n")


def test_a_machine_without_a_scheduler_is_a_client(
    cli: Cli, file: Path, commands: Callable[..., None]
) -> None:
    commands("qsub")
    result = cli("init", typed="https://s3.example.com\nmy-jobs\n\n\n\nn\n")

    assert load_config({}, path=file, home=file.parent).agent.profile == "local"
    assert "Found" not in result.stderr
    assert result.stderr.endswith("Next, check the configuration and the store: cloudqcli doctor\n")


def test_the_region_is_asked_for_amazon_alone(cli: Cli, file: Path, commands: Callable[..., None]) -> None:
    amazon = cli("init", typed="\nmy-jobs\neu-west-1\n\n\n\nn\n")
    config = load_config({}, path=file, home=file.parent)
    other = cli(
        "--config", file.with_name("other.toml"), "init", typed="https://s3.example.com\nx-y-z\n\n\n\nn\n"
    )

    assert (amazon.exit_code, config.store.region, config.store.bucket) == (0, "eu-west-1", "my-jobs")
    assert "Region of the bucket" in amazon.stderr
    assert "Region of the bucket" not in other.stderr


def test_a_directory_needs_neither_region_nor_keys(cli: Cli, commands: Callable[..., None]) -> None:
    result = cli("init", typed="\n\n\n\n")

    assert result.exit_code == 0
    assert "Region" not in result.stderr
    assert "credentials" not in result.stderr
    assert result.stderr.endswith("Next, start the agent on this machine: cloudqd --daemon --detach\n")


# Buckets that cannot be reached --------------------------------------------------------------


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address of this machine on which no process listens, and keys of no account."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(stores, "RetryingStore", lambda store, clock: store)
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{port.getsockname()[1]}"


@pytest.mark.parametrize(
    "url",
    ["https://s3.v3.abci.ai", "https://S3.V3.ABCI.ai:443/", "https://my-jobs.s3.v3.abci.ai"],
)
def test_a_service_that_only_its_site_reaches_is_named_without_a_look(
    cli: Cli, file: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it can be reached from here does not matter for the other machines."""
    monkeypatch.setattr(original_jobs, "open_store", None)
    result = cli("init", "--endpoint_url", url, "--bucket", "my-jobs")

    assert (result.exit_code, file.exists()) == (0, True)
    assert result.stderr.startswith("s3.v3.abci.ai can be reached only from inside ABCI: ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "url", ["https://s3.abci.ai", "https://s3.v3.abci.ai.example.com", "https://xs3.v3.abci.ai", "file:///x"]
)
def test_nothing_is_said_of_other_services(cli: Cli, url: str) -> None:
    assert cli("init", "--endpoint_url", url, "--bucket", "my-jobs").stderr == ""


def test_a_check_tells_why_a_bucket_is_not_reached_and_what_to_do(cli: Cli, file: Path, closed: str) -> None:
    result = cli("init", "--check", "--endpoint_url", closed, "--bucket", "my-jobs")
    [reason, advice] = result.stderr.splitlines()

    assert (result.exit_code, file.exists()) == (4, False)
    assert f"bucket 'my-jobs' at {closed}: Could not connect" in reason
    assert "Connection refused" in reason
    assert "set HTTPS_PROXY" in advice


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 4)])
def test_on_a_terminal_one_may_write_the_file_all_the_same(
    cli: Cli, file: Path, closed: str, answer: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(init, "_is_asked", lambda: True)
    result = cli("init", typed=f"{closed}\nmy-jobs\n\n\n\ny\n{answer}\n")

    assert (result.exit_code, file.exists()) == (status, status == 0)
    assert "Connection refused" in result.stderr


# Other cases ---------------------------------------------------------------------------------


def test_never_overwrites(cli: Cli, file: Path) -> None:
    cli("init")
    file.write_text("mine")
    result = cli("init", "--bucket", "my-jobs")

    assert (result.exit_code, file.read_text()) == (3, "mine")
    assert result.stderr == f"cloudqcli: {file}: exists already and is never overwritten\n"


def test_writes_to_the_file_that_is_named(cli: Cli, tmp_path: Path) -> None:
    named = tmp_path / "elsewhere" / "my.toml"

    assert cli("--config", named, "init").stdout == f"{named} has been written.\n"
    assert named.stat().st_mode & 0o077 == 0


def test_writes_nothing_that_could_not_be_read(cli: Cli, file: Path) -> None:
    result = cli("init", "--bucket", "No_Bucket", "--endpoint_url", "ftp://x")

    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 2
    assert not file.exists()


def test_a_check_names_jobs_of_the_original(cli: Cli, tmp_path: Path) -> None:
    bucket = (tmp_path / "bucket").as_uri()
    store = open_store(
        load_config({}, home=tmp_path, overrides={"store.endpoint_url": bucket}).store, cli.clock
    )
    store.put("jobs/3f7e7681/manifest.json", b"ours")
    before = cli("init", "--check", "--endpoint_url", bucket, "--config", tmp_path / "before.toml")
    store.put("3f7e7681/manifest.json", b"theirs")
    after = cli("init", "--check", "--endpoint_url", bucket, "--config", tmp_path / "after.toml")

    assert (before.exit_code, before.stderr, after.exit_code) == (0, "", 0)
    assert after.stderr.startswith("The bucket holds jobs of the original CloudQ, which are neither shown")
    assert store.get("3f7e7681/manifest.json").body == b"theirs"


def test_a_check_writes_nothing_for_a_store_that_cannot_be_used(cli: Cli, file: Path, tmp_path: Path) -> None:
    (tmp_path / "no-directory").touch()
    result = cli("init", "--check", "--endpoint_url", (tmp_path / "no-directory").as_uri())

    assert result.exit_code == 4
    assert not file.exists()


def test_names_what_the_original_left_and_does_not_touch_it(cli: Cli, file: Path) -> None:
    original = file.parent / "client" / "config.ini"
    original.parent.mkdir(parents=True)
    original.write_text("theirs")
    result = cli("init")

    assert str(original) in result.stderr
    assert original.read_text() == "theirs"
    assert file.exists()
