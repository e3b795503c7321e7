"""``cloudqd --status`` in every case, and options of ``cloudqd`` that exclude each other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner, Result

from cloudq.adapters import process
from cloudq.adapters.clock import RandomIds, SystemClock
from cloudq.adapters.job_repository import BucketSystemRegistry
from cloudq.adapters.workspace import DirectoryWorkspace
from cloudq.bootstrap.homes import lease_memory
from cloudq.bootstrap.own_agent import agent_process
from cloudq.bootstrap.stores import open_store
from cloudq.config import Config, load_config
from cloudq.domain.jobs.lease import Lease, LeaseNotes
from cloudq.entrypoints.cloudqd import main
from tests.builders import a_lease


def cloudqd(*args: str) -> Result:
    return CliRunner().invoke(main, args)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The embedded default configuration in a fresh home."""
    monkeypatch.setenv("CLOUDQ_HOME", str(tmp_path / "home"))
    return load_config(os.environ)


def report(config: Config, lease: Lease, *, age_s: float = 0.0) -> None:
    """Write a lease that is *age_s* seconds old, as the report of an agent."""
    store = open_store(config.store, SystemClock())
    BucketSystemRegistry(store, RandomIds()).take_lease("local", lease, None)
    for file in (config.home / "store").rglob("*"):
        if file.is_file() and "lease" in str(file):
            os.utime(file, (time.time() - age_s,) * 2)


def state(result: Result) -> str:
    [line] = [line for line in result.stdout.splitlines() if line.startswith("state")]
    return line.removeprefix("state").strip()


def test_shows_who_acts(config: Config, golden: Callable[[str, str], None]) -> None:
    report(config, a_lease(last_error="the store \x1b[31mrefused"))
    result = cloudqd("--status")

    assert result.exit_code == 0
    golden("status.txt", result.stdout)


@pytest.mark.usefixtures("config")
def test_nobody_ever_acted() -> None:
    result = cloudqd("--status")

    assert (result.exit_code, state(result)) == (13, "no agent has ever acted for this system")


def test_the_agent_was_stopped(config: Config) -> None:
    report(config, a_lease(released=True))
    result = cloudqd("--status")

    assert (result.exit_code, state(result)) == (13, "stopped")


def test_the_agent_does_not_report(config: Config) -> None:
    report(config, a_lease(), age_s=3600)
    result = cloudqd("--status")

    assert (result.exit_code, state(result)) == (13, "not reporting: its jobs wait until it does")


def test_the_agent_is_this_home_s(config: Config) -> None:
    agent_process(config).note()
    report(config, a_lease(process=process.own_identity()))
    result = cloudqd("--status")

    assert (result.exit_code, state(result)) == (0, "running here")


def test_an_agent_here_waits_for_another_one(config: Config) -> None:
    agent_process(config).note()
    report(config, a_lease())
    result = cloudqd("--status")

    assert result.exit_code == 0
    assert state(result) == f"running elsewhere; pid {os.getpid()} here waits in case it ends"


def test_an_agent_here_does_not_act_yet(config: Config) -> None:
    agent_process(config).note()
    result = cloudqd("--status")

    assert result.exit_code == 13
    assert state(result) == f"not acting yet: pid {os.getpid()} here is starting or has trouble"


def test_a_process_signs_off_only_its_own_note(config: Config) -> None:
    here = agent_process(config)
    here.note()
    note = next((config.home / "run").iterdir())
    note.write_text(process.format_identity(evolve(process.own_identity(), pid=1)))
    here.forget()
    kept = note.exists()
    here.note()
    here.forget()

    assert (kept, note.exists()) == (True, False)


@pytest.mark.parametrize("args", [("--status", "--stop"), ("--daemon", "--status"), ("--detach", "--stop")])
def test_modes_exclude_each_other(args: tuple[str, ...]) -> None:
    result = cloudqd(*args)

    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


@pytest.mark.usefixtures("config")
def test_bad_options_are_told_as_configuration() -> None:
    result = cloudqd("--status", "--name", "no/name", "--num-procs", "0")

    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 2


MODES = ("daemon", "detach", "status", "stop", "confirm", "new-home", "config", "name")


def test_help_names_every_mode() -> None:
    shown = cloudqd("--help").stdout

    assert all(f"--{mode}" in shown for mode in MODES)


def in_doubt(config: Config) -> None:
    memory = lease_memory(config)
    memory.keep(LeaseNotes(3))
    memory.raise_doubt("the bucket is old")


def test_a_home_in_doubt_says_so_until_it_is_confirmed(config: Config) -> None:
    in_doubt(config)
    report(config, a_lease())
    shown = cloudqd("--status")
    assert "last error    the bucket is old" in shown.stdout
    assert "To confirm this home: cloudqd --confirm." in shown.stderr

    confirmed = cloudqd("--confirm")

    assert confirmed.exit_code == 0
    assert "Reason for the doubt:\nthe bucket is old" in confirmed.stdout
    assert "the bucket is old" not in cloudqd("--status").stdout
    assert "was not in doubt" in cloudqd("--confirm").stdout


def test_a_copied_home_gets_an_identity_of_its_own(config: Config) -> None:
    in_doubt(config)
    before = DirectoryWorkspace(config.home, SystemClock(), RandomIds()).home
    (config.home / "cache/3f7e7681").mkdir()

    result = cloudqd("--new-home")

    assert result.exit_code == 0
    assert DirectoryWorkspace(config.home, SystemClock(), RandomIds()).home != before
    assert (config.home / f"cache.of-{before}/3f7e7681").is_dir()
    assert not (config.home / "cache/3f7e7681").exists()
    assert lease_memory(config).doubt() == ""
    assert str(config.home / f"cache.of-{before}") in result.stdout


def test_an_agent_that_runs_keeps_its_home(config: Config) -> None:
    in_doubt(config)
    agent_process(config).note()

    assert cloudqd("--new-home").exit_code == 14
    assert lease_memory(config).doubt()
