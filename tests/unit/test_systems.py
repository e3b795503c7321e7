"""Profiles as files: those that come with cloudq, and what a site says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudq.adapters.systems import load_profile
from cloudq.config import KNOWN_PROFILES
from cloudq.domain.errors import ConfigProblem

AVAILABLE = [profile for profile in KNOWN_PROFILES.values() if profile.is_available]


@pytest.mark.parametrize("profile", AVAILABLE, ids=lambda profile: profile.name)
def test_every_available_profile_has_its_file(tmp_path: Path, profile: object) -> None:
    loaded = load_profile(getattr(profile, "name", ""), tmp_path)

    assert loaded.scheduler == getattr(profile, "scheduler", "")
    assert loaded.poll_interval < loaded.query_limit <= loaded.submit_limit


def test_a_site_may_change_times(tmp_path: Path) -> None:
    (tmp_path / "slurm.toml").write_text("poll_interval = 60\nsubmit_wait = 0.5\n")

    profile = load_profile("slurm", tmp_path)

    assert (profile.poll_interval, profile.submit_wait, profile.scheduler) == (60, 0.5, "slurm")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("poll_intervall = 3", "poll_intervall: no such key"),
        ('scheduler = "pbs"', "scheduler: no such key"),
        ("poll_interval = 0", "0 is not a number of seconds"),
        ("poll_interval = true", "True is not a number of seconds"),
        ('poll_interval = "soon"', "'soon' is not a number of seconds"),
        ("poll_interval", "slurm.toml"),
    ],
)
def test_what_is_wrong_in_a_sites_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "slurm.toml").write_text(text)

    with pytest.raises(ConfigProblem, match=words):
        load_profile("slurm", tmp_path)


def test_a_profile_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match="'abci'"):
        load_profile("abci", tmp_path)
