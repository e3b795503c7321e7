"""``cloudqd --acceptance`` on every scheduler: cloudq concludes correctly and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.parts.fake_pbs.complex import FakePbs
from tests.parts.grid_engine import GridEngine
from tests.parts.site import Site, wait_until
from tests.parts.slurm import Slurm

pytestmark = [pytest.mark.timeout(600)]
ALWAYS = {"exit code 0", "exit code 3", "killed by a signal", "output", "no secrets in its environment",
          "array with a failing task", "cancelled while it runs", "files seen on both sides"}  # fmt: skip
ALL = ALWAYS | {"time limit", "cancelled while it is held", "queued again by the scheduler"}


def site_with(root: Path, profile: str, variables: Mapping[str, str]) -> Site:
    """A home whose profile polls often, with a store that cannot be used."""
    root.mkdir(exist_ok=True)
    unusable = {"CLOUDQ_STORE_ENDPOINT_URL": "https://127.0.0.1:1", "CLOUDQ_STORE_BUCKET": "no-such-bucket"}
    secret = {"AWS_SECRET_ACCESS_KEY": "x", "CLOUDQ_AGENT_PROFILE": profile}
    site = Site(root, {**variables, **unusable, **secret})
    own = site.home / "systems"
    own.mkdir(parents=True, mode=0o700)
    if profile != "local":
        (own / f"{profile}.toml").write_text("poll_interval = 1\n")
    return site


def accepted(site: Site, *words: str) -> dict[str, str]:
    """Return the result of each trial by name; the command must succeed and leave nothing behind."""
    done = site.run("cloudqd", "--acceptance", "--json", *words)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert not (site.home / "acceptance").exists()
    return {each["trial"]: each["result"] for each in json.loads(done.stdout)}


def test_the_scheduler_of_cloudqs_own_is_judged_rightly(tmp_path: Path) -> None:
    results = accepted(site_with(tmp_path, "local", {}))

    assert {name for name, result in results.items() if result == "ok"} == ALWAYS
    assert {name for name, result in results.items() if result == "skipped"} == ALL - ALWAYS


@pytest.mark.xdist_group("pbs")
def test_a_stand_in_of_pbs_is_judged_rightly(tmp_path: Path) -> None:
    pbs = FakePbs(tmp_path, slots=4)
    try:
        results = accepted(site_with(tmp_path / "site", "pbs", pbs.environment()))
    finally:
        pbs.end_everything()

    assert {name for name, result in results.items() if result == "ok"} >= ALWAYS


@pytest.mark.real
@pytest.mark.xdist_group("slurm")
def test_a_real_slurm_is_judged_rightly(slurm: Slurm, tmp_path: Path) -> None:
    results = accepted(site_with(tmp_path, "slurm", slurm.environment()))

    assert {name for name, result in results.items() if result == "ok"} == ALL


@pytest.mark.real
@pytest.mark.xdist_group("gridengine")
def test_a_real_grid_engine_is_judged_rightly(grid_engine: GridEngine, tmp_path: Path) -> None:
    results = accepted(site_with(tmp_path, "gridengine", grid_engine.environment()))

    assert {name for name, result in results.items() if result == "ok"} == ALL


def test_the_table_is_printed_as_trials_end_and_fits_eighty_columns(tmp_path: Path) -> None:
    done = site_with(tmp_path, "local", {}).run("cloudqd", "--acceptance")
    head, rule, *lines = done.stdout.splitlines()

    assert head.split() == ["result", "trial", "expected", "concluded", "s"]
    assert set(rule) == {"-"}
    assert max(len(line) for line in (head, rule, *lines)) <= 80
    assert any(line.startswith("ok       exit code 0") for line in lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_it_early_leaves_no_job_and_no_file(tmp_path: Path, number: signal.Signals) -> None:
    site = site_with(tmp_path, "local", {})
    argv = [sys.executable, "-m", "cloudq.entrypoints.cloudqd", "--acceptance"]
    with subprocess.Popen(argv, env=site.environment(), stdout=subprocess.PIPE, cwd=tmp_path) as running:
        wait_until(lambda: any((site.home / "acceptance").glob("*/cache/*/*.sh")))
        os.kill(running.pid, number)
        running.communicate(timeout=120)

    assert running.returncode != 0
    assert not (site.home / "acceptance").exists()
    wait_until(lambda: not site.processes_left())
