"""``cloudqcli init``: a commented file, from options or answers, never over another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.bootstrap.stores import open_store
from cloudq.config import load_config
from cloudq.entrypoints.cloudqcli.commands import init
from tests.unit.cli.conftest import Cli


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
    result = cli("init", typed="https://s3.example.com\nmy-jobs\n\nalpha\n")
    config = load_config({}, path=file, home=file.parent)

    assert result.exit_code == 0
    assert (config.store.bucket, config.store.profile, config.agent.name) == ("my-jobs", "", "alpha")


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
