"""The file that ``cloudqcli init`` writes, and the configuration that the original CloudQ left behind."""

from __future__ import annotations

import stat
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudq.config import (
    KEYS,
    find_original,
    is_original_key,
    load_config,
    render_config,
    write_new_config,
)
from cloudq.domain.errors import ConfigProblem

Golden = Callable[[str, str], None]


def test_the_file_without_values_shows_every_default(golden: Golden) -> None:
    golden("config_default.toml", render_config())


def test_the_file_for_a_bucket_sets_what_was_given(golden: Golden) -> None:
    text = render_config(
        {
            "store.endpoint_url": "https://s3.example.com",
            "store.bucket": "my-jobs",
            "agent.name": "mycluster",
            "agent.unpinned": False,
        }
    )

    golden("config_bucket.toml", text)


def test_the_file_without_values_changes_nothing(tmp_path: Path) -> None:
    write_new_config(tmp_path / "config.toml", render_config())
    config = load_config({}, home=tmp_path)
    (tmp_path / "config.toml").unlink()
    without = load_config({}, home=tmp_path)

    assert (config.store, config.agent, config.client, config.log) == (
        without.store, without.agent, without.client, without.log,
    )  # fmt: skip


def test_every_key_stands_in_the_file_and_may_be_uncommented() -> None:
    lines = render_config().splitlines()
    uncommented = [
        line.removeprefix("# ") if " = " in line and "SYSTEM" not in line else line for line in lines
    ]
    content = tomllib.loads("\n".join(uncommented))

    assert {(section, name) for section, keys in content.items() for name in keys} == {
        (key.section, key.name) for key in KEYS
    }


def test_values_read_back_as_they_were_given(tmp_path: Path) -> None:
    values = {"store.bucket": "my-jobs", "store.profile": 'a "b" \\ c', "agent.handicap": 2.5}
    write_new_config(tmp_path / "config.toml", render_config(values))
    config = load_config({}, home=tmp_path)

    assert (config.store.bucket, config.store.profile) == ("my-jobs", 'a "b" \\ c')
    assert config.agent.handicap == 2.5


def test_a_file_that_exists_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("mine")
    with pytest.raises(ConfigProblem, match="exists already and is never overwritten"):
        write_new_config(file, "new")

    assert file.read_text() == "mine"


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "config.toml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigProblem, match="exists already"):
        write_new_config(tmp_path / "config.toml", "new")

    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions there")
def test_the_file_and_its_directory_are_for_this_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "home" / "config.toml"
    write_new_config(file, "")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigProblem, match="cannot be written"):
        write_new_config(tmp_path / "file" / "config.toml", "")


def test_half_a_file_is_not_left_behind(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_new_config(tmp_path / "config.toml", "a" * 100_000 + "\udc80")

    assert not (tmp_path / "config.toml").exists()


# The original --------------------------------------------------------------------------------


def original_at(home: Path) -> list[Path]:
    files = [home / "client" / "config.ini", home / "agent" / "config.ini", home / "aws" / "preset.ini"]
    for file in files:
        file.parent.mkdir(parents=True)
        file.write_text("[DEFAULT]\nname = old\n")
    return files


def test_the_originals_configuration_is_recognised(tmp_path: Path) -> None:
    original_at(tmp_path)

    assert find_original(tmp_path) == (
        tmp_path / "client" / "config.ini", tmp_path / "agent" / "config.ini", tmp_path / "aws",
    )  # fmt: skip


def test_no_original_is_seen_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "client").mkdir()

    assert find_original(tmp_path) == ()
    assert find_original(tmp_path / "none") == ()


def test_the_originals_configuration_is_named_and_left_alone(tmp_path: Path) -> None:
    files = original_at(tmp_path)
    config = load_config({}, home=tmp_path)

    assert config.agent.name == "local"
    assert len(config.notices) == 1
    assert str(tmp_path / "agent" / "config.ini") in config.notices[0]
    assert "neither used nor changed" in config.notices[0]
    assert all(file.read_text() == "[DEFAULT]\nname = old\n" for file in files)


def test_nothing_is_said_of_the_original_once_there_is_a_file(tmp_path: Path) -> None:
    original_at(tmp_path)
    write_new_config(tmp_path / "config.toml", render_config())

    assert load_config({}, home=tmp_path).notices == ()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("3f7e7681/manifest.json", True),
        ("jobs/3f7e7681/manifest.json", False),
        ("3f7e7681/stdout", False),
        ("3F7E7681/manifest.json", False),
    ],
)
def test_a_job_of_the_original_is_told_from_ours_by_its_key(key: str, expected: bool) -> None:
    assert is_original_key(key) is expected
